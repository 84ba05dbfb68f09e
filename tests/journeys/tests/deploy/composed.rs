//! A compose project becomes containers that find each other, in one run; when one of them fails, none of it stays.

use super::shop::{Shop, Stage, inspected};

const PROJECT: &str = r#"
x-small: &small { mem_limit: 64m, stop_grace_period: 2s }
services:
  front:
    <<: *small
    image: journey/busybox:1
    command: ["sh", "-c", "trap 'exit 0' TERM; wget -q -O - http://back:8000/greeting || exit 1; while :; do sleep 0.1; done"]
    depends_on: { back: { condition: service_healthy } }
    environment: { GREETING: "${GREETING:?say hello}" }
    networks: [inside]
  back:
    <<: *small
    image: journey/busybox:1
    command: ["sh", "-c", "cp /etc/greeting /www/greeting && exec httpd -f -p 8000 -h /www"]
    healthcheck: { test: "wget -q -O /dev/null http://127.0.0.1:8000/greeting", interval: 300ms, retries: 30 }
    env_file: back.env
    configs: [{ source: greeting, target: /etc/greeting }]
    volumes: ["data:/www"]
    networks: { inside: { aliases: [behind] } }
networks: { inside: {} }
volumes: { data: {} }
configs: { greeting: { file: ./greeting.txt } }
"#;

pub(crate) fn a_compose_project_is_one_run(stage: &Stage) {
    let docker = stage.docker;
    let shop = Shop::new(stage, "composed");
    let home = shop.home.path();
    let put = |name: &str, text: &str| std::fs::write(home.join(name), text).expect("a file can be written");
    put(
        "apm.yaml",
        "project: shop-composed\nservices: { front: { deploy: { judged: false, scan: { with: packages } } }, back: { deploy: { judged: false } } }\n",
    );
    put("docker-compose.yml", PROJECT);
    put("back.env", "FROM_FILE=yes\n");
    put("greeting.txt", "hello\n");
    put(".env", "GREETING=hi\n");
    let words = ["--compose", "docker-compose.yml"];

    let dry = shop
        .deploy(&["--compose", "docker-compose.yml", "--dry-run"])
        .expect(0, &["--health-cmd", "--network-alias behind", "scan image journey/busybox:1", "image-unseen"]);
    assert!(shop.containers().is_empty(), "a dry run changes something:\n{}", dry.text);
    shop.deploy(&words).expect(0, &["complete"]);
    let front = inspected(docker, "shop-composed-front");
    let back = inspected(docker, "shop-composed-back");
    assert!(docker.docker(&["logs", "shop-composed-front"]).contains("hello"), "front did not find back by its name");
    assert_eq!(back["State"]["Health"]["Status"], "healthy");
    assert!(back["State"]["StartedAt"].as_str() < front["State"]["StartedAt"].as_str(), "what is needed starts first");
    let env = |container: &serde_json::Value, line: &str| {
        container["Config"]["Env"].as_array().expect("a list").iter().any(|entry| entry == line)
    };
    assert!(env(&back, "FROM_FILE=yes") && env(&front, "GREETING=hi"), "{back}");
    assert_eq!(back["HostConfig"]["Memory"], 64 << 20);
    shop.deploy(&words).expect(4, &["runs already"]);

    // The second service of a new version fails: the first is what it was, too.
    put(
        "docker-compose.yml",
        &PROJECT
            .replace("http://back:8000/greeting ||", "http://back:8000/nothing ||")
            .replace("mem_limit: 64m", "mem_limit: 32m"),
    );
    shop.deploy(&words).expect(1, &["is being undone"]);
    for (name, before) in [("shop-composed-front", &front), ("shop-composed-back", &back)] {
        assert_eq!(inspected(docker, name)["Id"], before["Id"], "{name} is another one");
        assert_eq!(inspected(docker, name)["State"]["Running"], true);
    }
    put("docker-compose.yml", &PROJECT.replace("mem_limit: 64m", "mem_limit: 64m, gpus: all"));
    shop.deploy(&words).expect(2, &["docker-compose.yml:2:35", "gpus"]);

    docker.docker(&["rm", "-f", "shop-composed-front", "shop-composed-back"]);
    docker.docker(&["volume", "rm", "shop-composed_data"]);
    docker.docker(&["network", "rm", "shop-composed_inside"]);
}
