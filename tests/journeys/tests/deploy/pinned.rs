//! A release from a private registry is the image that its tag was when it was planned, whatever becomes of the tag.

use std::net::TcpStream;
use std::process::Command;

use tests_journeys::{Peer, engine, peer, tools, wait};

use super::shop::{Shop, Stage};

/// `user` with `secret`.
const USERS: &str = "user:$2b$04$Pb7hHV4ZLL1Dg4f56VJ.RuMjKAoTlWvV.dHpoFMCxnk.B.DW8.HVS\n";

/// Debian's docker-registry, which lets in one user, with its data in the shop's folder.
fn registry(shop: &Shop) -> (Peer, String) {
    let folder = shop.home.path().join("registry");
    std::fs::create_dir(&folder).expect("made");
    let address = format!("127.0.0.1:{}", peer::free_port());
    std::fs::write(folder.join("users"), USERS).expect("written");
    let place = folder.display();
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {place}}}}}\nhttp: {{addr: '{address}'}}\nauth: {{htpasswd: {{realm: test, path: {place}/users}}}}\n"
    );
    std::fs::write(folder.join("config.yml"), config).expect("written");
    let mut command = Command::new(tools::system("docker-registry"));
    command.arg("serve").arg(folder.join("config.yml"));
    let running = Peer::start(&mut command, shop.artefacts.join("registry.log"));
    wait::until("the registry", 30, || TcpStream::connect(&address).map(drop));
    (running, address)
}

/// `apm WORDS` in the shop's home: what it prints, when it ends well.
fn apm(shop: &Shop, words: &[&str]) -> String {
    let output = engine::command(shop.home.path(), &engine::apm()).args(words).output().expect("apm can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "apm {words:?}: {said}");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Builds an image that says `text` when it is asked, pushes it with the shop's login, and removes it from the engine.
fn push(shop: &Shop, image: &str, text: &str) {
    shop.docker.busybox_image();
    shop.docker.build(image, &format!("FROM journey/busybox:1\nENV TEXT={text}\nCMD [\"sleep\", \"1000\"]\n"), &[]);
    let mut docker = shop.docker.command();
    docker.env("DOCKER_CONFIG", shop.home.path().join(".docker")).args(["push", image]);
    let output = docker.output().expect("docker can be started");
    assert!(output.status.success(), "docker push: {}", String::from_utf8_lossy(&output.stderr));
    shop.docker.docker(&["rmi", image]);
}

pub(crate) fn a_release_is_the_image_that_was_planned(stage: &Stage) {
    let shop = Shop::new(stage, "pinned");
    let (_registry, address) = registry(&shop);
    let image = format!("{address}/shop/pinned");
    let login = engine::command(shop.home.path(), tools::system("sh").as_path())
        .args(["-c", "echo secret | \"$0\" registry login \"$1\" -u user --password-stdin"])
        .arg(engine::apm())
        .arg(&address)
        .output();
    let login = login.expect("a shell");
    let said = String::from_utf8_lossy(&login.stdout);
    assert!(login.status.success() && said.contains("/.docker/config.json"), "{said}");
    shop.settings_of(&image, "judged: false\nstop_grace: 1s\nnetworks: [host]", "");

    // Nobody has it: told before anything begins.
    shop.deploy(&["--version", "1"]).expect(3, &["manifest unknown", "log in"]);
    assert!(shop.containers().is_empty());
    push(&shop, &format!("{image}:1"), "first");
    let first = format!("{image}@{}", apm(&shop, &["registry", "digest", &format!("{image}:1")]));
    let dry = shop.deploy(&["--version", "1", "--dry-run"]).expect(0, &[]).text;
    assert!(dry.contains(&format!("docker pull {first}")), "{dry}");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    assert_eq!(shop.inspect("{{.Config.Image}}"), first);
    shop.deploy(&["--version", "1"]).expect(4, &["runs already"]);
    let (id, runs) = (shop.id(), shop.inspect("{{.Image}}"));

    // The tag moves: what runs stays, and the next release of it is another image.
    push(&shop, &format!("{image}:1"), "second");
    push(&shop, &format!("{image}:2"), "third");
    assert_eq!(shop.id(), id);
    let second = format!("{image}@{}", apm(&shop, &["registry", "digest", &format!("{image}:1")]));
    assert_ne!(first, second);
    shop.deploy(&["--version", "2"]).expect(0, &["complete"]);
    assert!(shop.inspect("{{.Config.Env}}").contains("TEXT=third"));

    // Back to version 1 is back to what ran, not to what the tag is now.
    shop.deploy(&["rollback", "--yes"]).expect(0, &["complete"]);
    assert_eq!((shop.inspect("{{.Config.Image}}"), shop.inspect("{{.Image}}")), (first, runs));
    // Asked for by its tag, it is what the tag is now.
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    assert_eq!(shop.inspect("{{.Config.Image}}"), second);
}

pub(crate) fn an_image_that_was_made_here_is_its_id(stage: &Stage) {
    let shop = Shop::new(stage, "local");
    let image = "127.0.0.1:1/shop/local";
    shop.docker.busybox_image();
    let build = |text: &str| {
        let dockerfile = format!("FROM journey/busybox:1\nENV TEXT={text}\nCMD [\"sleep\", \"1000\"]\n");
        shop.docker.build(&format!("{image}:1"), &dockerfile, &[]);
        shop.docker.docker(&["image", "inspect", "-f", "{{.Id}}", &format!("{image}:1")])
    };
    shop.settings_of(image, "judged: false\nstop_grace: 1s\nnetworks: [host]", "");
    let first = build("one");
    shop.deploy(&["--version", "1", "--dry-run"]).expect(0, &["image-local", &first]);
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    assert_eq!((shop.inspect("{{.Image}}"), shop.inspect("{{.Config.Image}}")), (first.clone(), first));
    assert_eq!(shop.inspect("{{index .Config.Labels \"apm.image\"}}"), format!("{image}:1"));
    let second = build("two");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    assert_eq!(shop.inspect("{{.Image}}"), second);
    // Neither here nor anywhere: the plan says so, and nothing runs.
    shop.deploy(&["--version", "9", "--dry-run"])
        .expect(0, &["image-unpinned", "docker pull 127.0.0.1:1/shop/local:9"]);
}
