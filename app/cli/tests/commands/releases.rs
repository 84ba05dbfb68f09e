//! Releases from the command line to their end, on an engine of Docker on paper: what is shown on the way, how the program ends, what is found again
//! afterwards, and what people can say to a run. The same on real engines is a journey.

use rustix::process::Signal;

use crate::engine::{Engine, up};
use crate::home::{Home, Started};
use crate::paper::{Shop, says};
use crate::terminal::Terminal;

pub(crate) const SETTINGS: &str = "project: shop\nservices:\n  cart:\n    image: shop/cart\n    deploy: { judged: false, ready: 60s }\nenvironments: { dev: {}, prod: {} }\n";

fn shop() -> Shop {
    Shop::new(SETTINGS)
}

/// One whose releases ask a person first.
fn asking() -> Shop {
    Shop::new(&SETTINGS.replace("judged: false", "judged: false, approval: true"))
}

/// The name of the run, as it was printed behind its title.
pub(crate) fn run_of(shown: &str) -> String {
    let (_, rest) = shown.split_once("(cart-").unwrap_or_else(|| panic!("no run in {shown}"));
    format!("cart-{}", rest.split(')').next().unwrap_or_default())
}

/// A release that waits for a yes, and its run.
fn waiting(shop: &Shop) -> (Started, String) {
    let started = shop.home.start(&mut shop.apm("deploy start --env dev --version 1 --yes"));
    started.shows("asks Deploy cart 1 to dev?");
    let run = run_of(&started.stdout());
    (started, run)
}

#[test]
fn a_release_is_carried_out_and_found_again() {
    let shop = shop();
    shop.check("deploy list", 0, &["nothing was deployed yet; begin with `apm deploy`"]);
    shop.check("deploy status", 3, &["nothing was deployed yet"]);
    let first = shop.check(
        "deploy start --env dev --version 1 --yes --reason opening",
        0,
        &["deploy cart 1 to dev (cart-1-", "done create cart 1", "done start cart 1", "99 %", "complete"],
    );
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running"]);
    let run = run_of(&first.stdout);
    shop.check(
        "deploy start --env dev --version 2 --yes",
        0,
        &["done keep the old shop-dev-cart", "complete", "down for"],
    );
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 2 running"]);

    shop.check("deploy list", 0, &["cart-2-", "complete", "deploy cart 2 to dev", &run, "deploy cart 1 to dev"]);
    shop.check("deploy list --limit 1", 0, &["deploy cart 2 to dev"]);
    shop.check("deploy status", 0, &["deploy cart 2 to dev, 100 %", "  done       deploying    create-", "complete"]);
    shop.check(&format!("deploy status {run}"), 0, &["deploy cart 1 to dev, 100 %"]);
    shop.check(
        &format!("deploy plan {run}"),
        0,
        &["deploy cart 1 to dev", "by hand docker create --name shop-dev-cart"],
    );
    // Whoever watches a run that is over is told how it ended.
    shop.check(&format!("deploy watch {run}"), 0, &["done start cart 1", "complete"]);
    shop.check("deploy status no-such-run", 3, &["no-such-run"]);
    shop.check("deploy diff --env dev --version 2", 0, &["nothing would change: cart 2 is what runs"]);
    shop.check("deploy diff --env dev --version 1", 1, &["shop-dev-cart", "~ image"]);
    shop.check("deploy artefacts", 0, &["plan.json", " bytes "]);
    shop.check("deploy rollback --env dev --yes", 0, &["deploy cart 1 to dev", "complete"]);
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running"]);
    shop.check("deploy rollback --env prod --yes", 4, &["no complete run says which version was there before", "--to"]);
}

#[test]
fn what_the_containers_said_stands_between_what_the_run_did() {
    let shop = shop();
    shop.check("deploy start --env dev --version 1 --yes", 0, &[]);
    let said = shop.check(
        "deploy logs",
        0,
        &["new 1 │ 03:04:05 this is 1", "new 1 ┃ 03:04:05 the till is open[2J", "── ", "done start cart 1"],
    );
    assert!(!said.stdout.contains('\x1b'), "a service cannot move the cursor: {said:?}");
    shop.check("deploy start --env dev --version 2 --yes", 0, &[]);
    // The container of the first run is gone by now.
    let first =
        run_of(&shop.check("deploy list", 0, &[]).stdout.replace("  complete", ")").replace("\ncart-", "\n(cart-"));
    shop.check(&format!("deploy logs {first}"), 0, &["done start cart 1", "no container of cart 1 is left"]);
}

#[test]
fn a_release_that_fails_is_undone_and_says_why() {
    let shop = shop();
    shop.check("deploy start --env dev --version 1 --yes", 0, &[]);
    let failed = shop.check(
        "deploy start --env dev --version bad --yes",
        1,
        &[
            "failed start cart bad: ",
            "shop-dev-cart ended with code 7; its last words: this is bad | the till is stuck",
            "run the image by hand",
            "undoing because",
            "undone",
            "rolled-back",
        ],
    );
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running"], "{failed:?}");
    shop.check(
        "deploy status",
        1,
        &["  undone     deploying    start-shop-dev-cart", "ended with code 7", "rolled-back"],
    );
    shop.check("deploy list", 0, &["rolled-back", "deploy cart bad to dev (", "complete"]);
    // What it said is kept although its container is gone.
    let kept = shop.check("deploy artefacts", 0, &["shop-dev-cart", " bytes "]).stdout;
    let line = kept.lines().find(|line| line.starts_with("shop-dev-cart")).unwrap_or_else(|| panic!("{kept}"));
    let name = line.split(' ').next().unwrap_or_default();
    shop.check(&format!("deploy artefacts --get {name}"), 0, &["this is bad", "the till is stuck"]);
    shop.check("deploy artefacts --get nothing", 3, &["has no artefact `nothing`", "it has ", name]);
    shop.check(
        "deploy dora",
        0,
        &["deployment frequency", "2 releases", "change failure rate     50 %", "time to restore"],
    );
    let json = shop.check("deploy dora --output json", 0, &[]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["failure_ratio"]["value"], 0.5, "{json}");
    shop.check("deploy dora --since soon", 2, &["`--since soon` is no time", "24h, 7d"]);
}

#[test]
fn a_release_waits_for_a_yes_and_takes_other_orders_meanwhile() {
    let shop = asking();
    let (started, run) = waiting(&shop);
    shop.check("deploy status", 0, &[&run, "  asks ", "waiting"]);
    let other = shop.check("deploy start --env dev --version 2 --yes", 4, &["is being changed by"]);
    assert!(!other.stdout.contains("deploy cart 2 to dev (cart-2-"), "it was begun: {other:?}");
    // Somebody else looks at it.
    let looking = shop.home.start(&mut shop.apm(&format!("deploy watch {run}")));
    looking.shows("asks Deploy cart 1 to dev?");
    let reading = shop.home.start(&mut shop.apm(&format!("deploy logs {run} --follow")));
    reading.shows("asks Deploy cart 1 to dev?");
    shop.check("deploy pause --reason lunch", 0, &["said so to ", &run]);
    started.shows("ann paused it: lunch");
    shop.check("deploy resume", 0, &["said so to "]);
    started.shows("ann lets it go on");
    shop.check("deploy approve --step nowhere", 2, &[" has no step `nowhere`"]);
    shop.check("deploy approve --reason fine", 0, &["said so to ", &format!("`apm deploy watch {run}` follows it")]);
    let (ended, looked, read) = (started.ended(), looking.ended(), reading.ended());
    says("deploy start", &ended, 0, &["ann says yes to `", ": fine", "done start cart 1", "complete"]);
    says("deploy watch", &looked, 0, &["ann says yes to `", "done start cart 1", "complete"]);
    says("deploy logs", &read, 0, &["ann says yes to `", "done start cart 1"]);
    shop.check("deploy approve", 2, &["no step of ", " waits for anybody", "`--step` names one"]);
    shop.check("deploy cancel", 4, &["is complete, and takes no order"]);
}

#[test]
fn a_no_ends_a_release_and_nothing_was_changed() {
    let shop = asking();
    let (started, _) = waiting(&shop);
    shop.check("deploy reject --reason later", 0, &["said so to "]);
    says("deploy start", &started.ended(), 1, &["ann says no to `", ": later", "rolled-back"]);
    assert!(shop.docker.containers().is_empty());
}

#[test]
fn who_leaves_is_told_how_to_go_on() {
    let shop = asking();
    let (started, run) = waiting(&shop);
    started.signal(Signal::INT);
    let words = format!("left as it stands: `apm deploy watch {run}` goes on with it, `apm deploy cancel {run}`");
    says("deploy start", &started.ended(), 130, &[&words]);
    shop.check(&format!("deploy cancel {run}"), 0, &["said so to "]);
    shop.check("deploy status", 0, &["waiting"]);
}

#[test]
fn without_a_yes_nothing_is_begun() {
    let shop = shop();
    shop.check(
        "deploy start --env dev --version 1",
        2,
        &["by hand docker create", "nobody is there to agree", "`--dry-run` only shows it"],
    );
    shop.check("deploy start --env dev --version 1 --dry-run", 0, &["deploy cart 1 to dev", "by hand docker start"]);
    shop.check(
        "deploy start --env dev --service cat --version 1 --yes",
        2,
        &["no service `cat`", "did you mean `cart`?"],
    );
    assert!(shop.docker.containers().is_empty());
    shop.check("deploy list", 0, &["nothing was deployed yet"]);
}

#[test]
fn old_runs_go_when_somebody_says_so() {
    let shop = shop();
    for version in ["1", "2"] {
        shop.check(&format!("deploy start --env dev --version {version} --yes"), 0, &[]);
    }
    shop.check("deploy prune", 0, &["no run is so old"]);
    let old = "deploy prune --older 0m --keep 1";
    shop.check(&format!("{old} --dry-run"), 0, &["cart-1-", "complete", "deploy cart 1 to dev"]);
    shop.check(old, 2, &["deploy cart 1 to dev", "nobody is there to agree"]);
    shop.check(&format!("{old} --yes"), 0, &["1 runs and 0 artefacts are gone; the audit log says so"]);
    let left = shop.check("deploy list", 0, &["deploy cart 2 to dev"]);
    assert!(!left.stdout.contains("deploy cart 1"), "{left:?}");
}

#[test]
fn a_terminal_sees_one_picture_of_the_run() {
    let shop = asking();
    let mut person = Terminal::start(&mut shop.apm("deploy start --env dev --version 1 --yes"), 100, 30);
    person.sees("waits for a person's yes");
    let run = shop.check("deploy list", 0, &[]).stdout.split(' ').next().unwrap_or_default().to_owned();
    shop.check("deploy approve --reason fine", 0, &[&run]);
    person.sees("✓ complete");
    let (code, shown) = person.ended();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("ann says yes to") && shown.contains("100 %"), "{shown}");
    assert!(shown.ends_with("s)\r\n") && shown.contains("\x1b[?25h"), "the cursor is given back: {shown:?}");
}

#[test]
fn a_version_is_promoted_from_one_environment_to_the_next() {
    let shop = shop();
    let begun = shop.check(
        "deploy promote --version 1 --yes --reason opening",
        0,
        &[
            "✓ shop/cart:1: it is on this engine",
            "promote cart 1 through dev, prod",
            "image ",
            "complete",
            "prod waits for a yes: apm deploy approve promote-cart-1-",
        ],
    );
    let (_, rest) = begun.stdout.split_once("(promote-").expect("a promotion");
    let promotion = format!("promote-{}", rest.split(')').next().unwrap_or_default());
    shop.check("deploy list", 0, &[&promotion, "waiting", "promote cart 1: dev complete → prod asks"]);
    shop.check(&format!("deploy status {promotion}"), 0, &["  complete   dev", "by ann: opening", "  asks       prod"]);
    shop.check(&format!("deploy watch {promotion}"), 0, &["prod waits for a yes"]);
    shop.check(&format!("deploy pause {promotion}"), 2, &["is a promotion: it takes a yes or a no"]);
    shop.check(
        &format!("deploy approve {promotion} --reason seen"),
        0,
        &["deploy cart 1 to prod", "complete", "1 has reached prod"],
    );
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running", "shop-prod-cart 1 running"]);
    shop.check(&format!("deploy approve {promotion}"), 4, &["has reached its last environment"]);

    // What serves in the first environment already is not released there again.
    shop.check(
        "deploy promote --from dev --version 2",
        4,
        &["dev runs cart 1, not 2", "apm deploy --env dev --version 2"],
    );
    let again = shop.check(
        "deploy promote --from dev",
        0,
        &["promote cart 1 through dev, prod", "  complete   dev", "prod waits for a yes"],
    );
    let (_, rest) = again.stdout.split_once("(promote-").expect("a promotion");
    let promotion = format!("promote-{}", rest.split(')').next().unwrap_or_default());
    shop.check(&format!("deploy reject {promotion} --reason closed"), 0, &["it goes no further: ann said no: closed"]);
    shop.check(&format!("deploy status {promotion}"), 1, &["it goes no further: ann said no: closed"]);
    shop.check("deploy promote --from qa", 2, &["does not pass through `qa`", "dev, prod"]);
    shop.check("deploy promote --image 127.0.0.1:1/cart:9 --yes", 3, &["the registry 127.0.0.1:1 cannot be reached"]);
}

#[test]
fn a_compose_project_is_one_run() {
    let shop = Shop::new(
        "project: shop\nservices:\n  cart: { deploy: { judged: false } }\n  web: { deploy: { judged: false } }\ncompose: compose.yaml\n",
    );
    shop.home.write(
        "compose.yaml",
        "services:\n  web: { image: 'shop/cart:2', depends_on: [cart], container_name: till }\n  cart: { image: 'shop/cart:1', volumes: ['data:/data'] }\nvolumes: { data: {} }\n",
    );
    shop.check(
        "deploy start --dry-run",
        0,
        &["docker network create shop_default", "create cart 1", "create web 2", "`web` is not called `till`"],
    );
    shop.check(
        "deploy start --image shop/cart:2 --yes",
        2,
        &["`--image` and `--version` are of one service", "--service"],
    );
    shop.check("deploy start --service cat --yes", 2, &["there is no service `cat` in the compose files", "cart, web"]);
    shop.check("deploy start --yes", 0, &["done start cart 1", "done start web 2", "complete"]);
    assert_eq!(shop.docker.containers(), ["shop-cart 1 running", "shop-web 2 running"]);
    shop.check("deploy start --service web --version 1 --yes", 0, &["done start web 1", "complete"]);
    assert_eq!(shop.docker.containers(), ["shop-cart 1 running", "shop-web 1 running"]);
    let elsewhere =
        "services:\n  web: { image: 'shop/cart:2', networks: [edge] }\nnetworks: { edge: { external: true } }\n";
    shop.home.write("edge.yaml", elsewhere);
    let edge = "deploy start --compose edge.yaml --yes";
    shop.check(edge, 3, &["network/edge is external, and is not there", "docker network create edge"]);
    shop.check("deploy start --compose none.yaml --yes", 2, &["none.yaml"]);
}

#[test]
fn an_engine_elsewhere_carries_a_release_out() {
    let (shop, elsewhere) = (asking(), Home::new());
    let mut engine = up(&shop.home, &["--env", "dev"]);
    engine.env("DOCKER_HOST", shop.docker.host());
    let engine = Engine::start_as(&shop.home, &mut engine, None);
    let apm = |line: &str| {
        let mut command = elsewhere.apm(&line.split_whitespace().collect::<Vec<_>>());
        command.args(["--server", &engine.url]).env("USER", "bob");
        command
    };
    let check = |line: &str, code: i32, expect: &[&str]| {
        says(line, &elsewhere.start(&mut apm(line)).ended(), code, expect);
    };
    let started = elsewhere.start(&mut apm("deploy start --version 1 --yes"));
    started.shows("asks Deploy cart 1 to dev?");
    let run = run_of(&started.stdout());
    // Who leaves leaves it to the engine.
    let watching = elsewhere.start(&mut apm("deploy watch"));
    watching.shows("asks Deploy cart 1 to dev?");
    watching.signal(Signal::INT);
    let words = format!("the engine goes on with it; `apm deploy watch {run} --server {}` follows it", engine.url);
    says("deploy watch", &watching.ended(), 130, &[&words]);
    check("deploy status", 0, &[&run, "waiting"]);
    check("deploy approve --reason fine", 0, &["said so to "]);
    says("deploy start", &started.ended(), 0, &["bob (no token) says yes to", "done start cart 1", "complete"]);
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running"]);
    check("deploy list", 0, &[&run, "complete", "deploy cart 1 to dev"]);
    check("deploy plan", 0, &["by hand docker create --name shop-dev-cart"]);
    check("deploy cancel", 4, &["takes no order"]);
    check("deploy approve", 2, &["waits for anybody"]);
    check("deploy watch", 0, &["complete"]);
    check("deploy start --version 1 --yes", 4, &[]);
    check("deploy rollback --yes", 4, &["no complete run says which version was there before"]);
    for line in ["deploy start --version 2 --yes", "deploy rollback --yes"] {
        let started = elsewhere.start(&mut apm(line));
        started.shows("asks Deploy cart ");
        check("deploy approve", 0, &["said so to "]);
        says(line, &started.ended(), 0, &["complete"]);
    }
    assert_eq!(shop.docker.containers(), ["shop-dev-cart 1 running"]);
    // A token that is none is not sent.
    for (name, text, words) in [("empty", "\n", "empty holds no token"), ("two", "one two\n", "two holds no token")] {
        elsewhere.write(name, text);
        check(&format!("deploy list --token-file {name}"), 2, &[words, "one line with nothing but the token"]);
    }
    check("deploy list --token-file nowhere", 2, &["nowhere"]);
}
