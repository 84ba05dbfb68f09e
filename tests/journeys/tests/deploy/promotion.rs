//! One image on its way from dev to prod, with a kill, a yes and a tag that moves in between; and a release looked at on a terminal.

use tests_journeys::wait;

use super::shop::{Shop, Stage};

/// Settings with two environments; containers that need no port, for both are on one machine.
fn settings(shop: &Shop, image: &str) {
    let name = shop.name;
    let deploy = "{ judged: false, command: [sleep, \"1000\"], stop_grace: 1s }";
    let yaml = format!(
        "project: shop\npromotion: [dev, prod]\nservices:\n  {name}:\n    image: {image}\n    deploy: {deploy}\nenvironments:\n  dev: {{}}\n  prod: {{ services: {{ {name}: {{ env: {{ PLACE: prod }} }} }} }}\n"
    );
    std::fs::write(shop.home.path().join("apm.yaml"), yaml).expect("the settings can be written");
}

pub(crate) fn one_image_reaches_prod(stage: &Stage) {
    let (shop, docker) = (Shop::new(stage, "promoted"), stage.docker);
    settings(&shop, "journey/promoted");
    docker.docker(&["tag", docker.busybox_image(), "journey/promoted:2"]);
    let image = docker.docker(&["image", "inspect", "-f", "{{.Id}}", "journey/promoted:2"]);
    let of = |environment: &str, what: &str| {
        docker.try_docker(&["container", "inspect", "-f", what, &format!("shop-{environment}-promoted")])
    };

    // Killed as soon as there is something to kill: whoever watches goes on.
    let mut running = shop.begin(&["promote", "--version", "2", "--yes", "--reason", "new prices"]);
    wait::until("the container in dev", 60, || {
        of("dev", "{{.Id}}").map_err(|error| format!("{error}{}", running.printed()))
    });
    running.kill();
    let list = shop.deploy(&["list"]).expect(0, &["promote promoted 2: dev "]).text;
    let id = list.split_whitespace().find(|word| word.starts_with("promote-")).expect("a name").to_owned();
    shop.deploy(&["watch", &id]).expect(0, &["prod waits for a yes"]);

    // The tag is moved; what was promised is what goes on.
    docker.docker(&["tag", "journey/store:1", "journey/promoted:2"]);
    assert!(of("prod", "{{.Id}}").is_err(), "nobody has said yes");
    shop.deploy(&["approve", &id, "--reason", "looked at it"]).expect(0, &["complete", "2 has reached prod"]);
    for environment in ["dev", "prod"] {
        assert_eq!(of(environment, "{{.Image}} {{.State.Running}}"), Ok(format!("{image} true")), "{environment}");
    }
    assert!(of("prod", "{{.Config.Env}}").expect("it is there").contains("PLACE=prod"));
    let status = shop.deploy(&["status", &id]).expect(0, &["by ann: new prices", "by ann: looked at it"]).text;
    assert!(status.contains(&image), "{status}");
    let list = shop.deploy(&["list"]).text;
    assert_eq!(list.lines().count(), 1, "a promotion is one thing:\n{list}");
    shop.deploy(&["approve", &id]).expect(4, &["has reached its last environment"]);

    // What would change, and what a person on a terminal sees of the change.
    docker.docker(&["tag", docker.busybox_image(), "journey/promoted:3"]);
    let words = ["--env", "dev", "--version", "3"];
    shop.deploy(&[&["diff"], &words[..]].concat()).expect(1, &["~ version", "2 → 3"]);
    let seen = shop.on_a_terminal(&words).expect(0, &["\x1b[?2026h", "▸ deploying", "✓ complete", "100 %"]);
    assert!(seen.text.matches("\x1b[?2026h").count() > 3, "it was drawn once:\n{}", seen.text);
    shop.deploy(&[&["diff"], &words[..]].concat()).expect(0, &["nothing would change"]);
    shop.deploy(&["logs"]).expect(0, &["── ", "start promoted 3"]);
    docker.docker(&["rm", "-f", "shop-dev-promoted", "shop-prod-promoted"]);
}
