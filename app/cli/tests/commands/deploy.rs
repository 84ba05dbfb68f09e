//! `apm deploy` as far as an engine of Docker on paper goes: what is asked, shown and refused before anything is changed. Releases
//! themselves are journeys, on a real one.

use crate::engine::Engine;
use crate::home::{Ended, Home};
use crate::paper::Paper;
use crate::terminal::Terminal;

const SHOP: &str = "project: shop\nservices:\n  cart:\n    image: shop/cart   # ours\n    secrets: { KEY: key.txt }\nenvironments: { dev: {}, prod: {} }\n";

fn shop() -> Home {
    let home = Home::new();
    home.write("apm.yaml", SHOP);
    home.write("key.txt", "hunter2\n");
    home
}

fn apm(home: &Home, docker: &Paper, words: &[&str]) -> std::process::Command {
    let mut command = home.apm(words);
    command.env("DOCKER_HOST", docker.host());
    command
}

fn run(home: &Home, docker: &Paper, words: &[&str]) -> Ended {
    home.start(&mut apm(home, docker, words)).ended()
}

#[test]
fn a_difference_ends_with_1_and_tells_no_secret() {
    let (home, docker) = (shop(), Paper::start(&["shop/cart:2"]));
    let ended = run(&home, &docker, &["deploy", "diff", "--env", "dev", "--version", "2"]);
    assert_eq!(ended.code, Some(1), "{ended:?}");
    for words in ["shop-dev-cart", "+ container", "+ image", "shop/cart:2 (sha256:5f2c1a", "+ secret KEY"] {
        assert!(ended.stdout.contains(words), "{words}: {ended:?}");
    }
    assert!(!format!("{ended:?}").contains("hunter2"));
    let ended = run(&home, &docker, &["deploy", "diff", "--env", "dev", "--version", "2", "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(found[0]["becomes"], "created", "{found}");
}

#[test]
fn without_a_terminal_nobody_is_asked() {
    let (home, docker) = (shop(), Paper::start(&["shop/cart:2"]));
    let ended = run(&home, &docker, &["deploy"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("nobody says which version of cart is meant"), "{ended:?}");
    assert_eq!(docker.asked(), 0, "a wizard would have asked the engine");
}

#[test]
fn a_judge_who_can_ask_nobody_gives_no_verdict() {
    let (home, docker) = (shop(), Paper::start(&["shop/cart:2"]));
    let ended = run(&home, &docker, &["deploy", "judge", "--url", "http://127.0.0.1:1"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    assert!(ended.stderr.contains("the judge could not ask anybody"), "{ended:?}");
    // Nothing was released, so there is nothing to judge again.
    let ended = run(&home, &docker, &["deploy", "judge", "--replay", "--url", "http://127.0.0.1:1"]);
    assert_eq!((ended.code, ended.stdout.trim()), (Some(3), "no release of cart could be judged again"), "{ended:?}");
}

#[test]
fn the_wizard_checks_as_it_goes_and_keeps_what_it_is_told_to_keep() {
    let (home, docker) = (shop(), Paper::start(&["new/cart:7"]));
    let mut person = Terminal::start(&mut apm(&home, &docker, &["deploy", "--no-color"]), 120, 40);
    person.sees("Which environment?");
    person.types("\r");
    person.sees("✓ Docker 20.10.24 at tcp://127.0.0.1:");
    person.sees("Which image?");
    // Over the default.
    person.types("new/cart:7\r");
    person.sees("Which version?");
    person.types("\r");
    person.sees("✓ it is on this engine, made 2026-01-02");
    person.sees("How does it take over?");
    person.types("\r");
    person.sees("Write it into apm.yaml?");
    person.types("y\r");
    person.sees("deploy cart 7 to dev");
    person.sees("docker create --name shop-dev-cart-next");
    person.sees("carry it out? [y/N]");
    person.types("n\n");
    let (code, shown) = person.ended();
    assert_eq!(code, Some(4), "{shown}");
    assert!(shown.contains("nothing was changed") && !shown.contains("hunter2"), "{shown}");
    assert_eq!(home.read("apm.yaml"), SHOP.replace("shop/cart  ", "new/cart  "));
}

#[test]
fn the_wizard_can_be_left() {
    let (home, docker) = (shop(), Paper::start(&["shop/cart:2"]));
    let mut person = Terminal::start(&mut apm(&home, &docker, &["deploy"]), 80, 24);
    person.sees("Which environment?");
    person.types("\x1b");
    let (code, shown) = person.ended();
    assert_eq!(code, Some(4), "{shown}");
    assert!(shown.contains("left; nothing was changed"), "{shown}");
    assert_eq!(home.read("apm.yaml"), SHOP);
}

/// Goes on to the next question without an answer of one's own.
const ENTER: &str = "\r";
const DOWN: &str = "\x1b[B";

#[test]
fn the_wizard_asks_what_no_file_says() {
    let (home, docker) = (Home::new(), Paper::start(&["shop/cart:2"]));
    let mut person = Terminal::start(&mut apm(&home, &docker, &["deploy", "--no-color"]), 120, 40);
    person.sees("What is the service called?");
    person.types("My Cart\r");
    person.sees("lower case letters, digits and dashes");
    person.types("\x7f\x7f\x7f\x7f\x7f\x7f\x7fcart\r");
    person.sees("✓ Docker 20.10.24");
    person.sees("Which image?");
    person.types("shop/cart:2\r");
    person.sees("Which version?");
    person.types(ENTER);
    person.sees("✓ it is on this engine");
    person.sees("How does it take over?");
    person.types(ENTER);
    person.sees("Write it into apm.yaml?");
    person.types("n\r");
    let (code, shown) = person.ended();
    assert_eq!(code, Some(4), "{shown}");
    assert!(shown.contains("a service is deployed from the file that names it"), "{shown}");
    assert_eq!(home.read("apm.yaml"), "");
}

#[test]
fn the_wizard_says_what_cannot_be_had_and_goes_on_if_it_is_told_to() {
    let (home, docker) = (shop(), Paper::start(&[]));
    let mut person = Terminal::start(&mut apm(&home, &docker, &["deploy", "--no-color", "--env", "dev"]), 120, 40);
    person.sees("Which image?");
    person.types("127.0.0.1:1/cart:9\r");
    person.sees("Which version?");
    person.types(ENTER);
    person.sees("✗ the registry 127.0.0.1:1 cannot be reached");
    person.sees("It cannot be had.");
    // Look again; it is as it was.
    person.types(&format!("{DOWN}{ENTER}"));
    person.sees("Which image?");
    person.types(ENTER);
    person.sees("Which version?");
    person.types(ENTER);
    person.sees("It cannot be had.");
    person.types(&format!("{DOWN}{DOWN}{ENTER}"));
    person.sees("How does it take over?");
    person.types(&format!("{DOWN}{ENTER}"));
    person.sees("Write it into apm.yaml?");
    person.types("n\r");
    person.sees("deploy cart 9 to dev");
    person.sees("carry it out? [y/N]");
    person.types("n\n");
    let (code, shown) = person.ended();
    assert_eq!(code, Some(4), "{shown}");
    assert_eq!(home.read("apm.yaml"), SHOP);
}

#[test]
fn the_wizard_asks_an_engine_that_is_away_as_often_as_it_is_told_to() {
    let home = shop();
    let mut command = home.apm(&["deploy", "--no-color", "--env", "dev"]);
    let mut person = Terminal::start(command.env("DOCKER_HOST", "tcp://127.0.0.1:1"), 120, 40);
    for answer in ["y\r", "n\r"] {
        person.sees("✗ ");
        person.sees("Ask the engine again?");
        person.types(answer);
    }
    let (code, shown) = person.ended();
    assert_eq!(code, Some(3), "{shown}");
}

#[test]
fn an_engine_elsewhere_is_asked_with_the_token_of_a_file() {
    let token = "a-token-of-twenty-letters";
    let (home, elsewhere, docker) = (shop(), Home::new(), Paper::start(&["shop/cart:2"]));
    home.write("tokens", &format!("deployer {token}\n"));
    elsewhere.write("token", &format!("{token}\n"));
    elsewhere.write("other", "another-token-of-many-letters\n");
    let mut up = crate::engine::up(&home, &["--token-file", "tokens"]);
    up.env("DOCKER_HOST", docker.host());
    let engine = Engine::start_as(&home, &mut up, Some(token));
    let there = |words: &[&str], file: &str| {
        let mut all = vec!["deploy"];
        all.extend(words);
        all.extend(["--server", &engine.url, "--token-file", file]);
        elsewhere.start(&mut elsewhere.apm(&all)).ended()
    };
    let ended = there(&["list"], "token");
    assert_eq!((ended.code, ended.stdout.trim()), (Some(0), "nothing was deployed yet; begin with `apm deploy`"));
    // No settings here: the engine has them.
    let ended = there(&["start", "--version", "2", "--env", "dev", "--dry-run"], "token");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.contains("deploy cart 2 to dev") && ended.stdout.contains("docker start"), "{ended:?}");
    let ended = there(&["start", "--service", "cat", "--version", "2", "--yes"], "token");
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("did you mean `cart`?"), "{ended:?}");
    let ended = there(&["watch", "no-such-run"], "token");
    assert_eq!(ended.code, Some(3), "{ended:?}");
    let ended = there(&["list"], "other");
    assert!(ended.code == Some(4) && ended.stderr.contains("--token-file"), "{ended:?}");
}
