//! `apm docker build` and `apm docker scan`, on an engine of Docker on paper and with scanners that are scripts: what is shown, what is refused, how
//! they end. Real builds are journeys.

use crate::home::Home;
use crate::paper::{Shop, says};

/// A project in Python with a Dockerfile.
fn project(settings: &str) -> Shop {
    let shop = Shop::new(settings);
    shop.home.write("Dockerfile", "FROM python:3.12-slim\nCOPY . /app\nCMD [\"python\", \"/app/app.py\"]\n");
    shop.home.write("requirements.txt", "flask==3.0.0\n");
    shop.home.write("app.py", "from flask import Flask\napp = Flask(__name__)\n");
    shop
}

const ONE: &str = "project: shop\nservices: { cart: { language: python } }\n";
const TWO: &str = "project: shop\nservices: { cart: {}, web: { build: { context: web } } }\n";

#[test]
fn a_dry_run_shows_the_stage_and_the_commands_and_builds_nothing() {
    let shop = project(ONE);
    shop.check(
        "docker build --dry-run -t shop/cart:1",
        0,
        &["cart: Python (", "agent: build", "# STAGE/Dockerfile", "FROM ", "docker build"],
    );
    let json = shop.check("docker build --dry-run -o json --inject side-container", 0, &[]).stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        (&json["service"], &json["language"], &json["inject"]),
        (&"cart".into(), &"Python".into(), &"side-container".into())
    );
    shop.check("docker build --dry-run --inject volume", 0, &["agent: volume", "docker build"]);
    shop.check("docker build --dry-run --inject none", 0, &["agent: none", "docker build"]);
    assert_eq!(shop.docker.asked(), 0, "the engine was asked");
}

#[test]
fn what_is_to_be_built_is_named_rightly_or_not_built() {
    let shop = project(TWO);
    shop.check("docker build --dry-run --service wob", 2, &["apm.yaml has no service `wob`", "did you mean `web`?"]);
    shop.check("docker build --dry-run --service web", 2, &["web is no folder", "`--file` names the Dockerfile"]);
    shop.check("docker build --dry-run nowhere", 2, &["nowhere is no folder"]);
    shop.check("docker build --dry-run --build-arg =1", 2, &["`=1` is no build argument", "write NAME=VALUE"]);
    shop.check("docker build --dry-run --file None.Dockerfile", 3, &["None.Dockerfile"]);
    // No service is meant where there are several: the folder says what it is.
    shop.check("docker build --dry-run", 0, &["Python ("]);
    assert_eq!(shop.docker.asked(), 0, "the engine was asked");
}

#[test]
fn a_build_says_what_the_builder_says_and_names_the_image() {
    let shop = project(ONE);
    let built = shop.check(
        "docker build --inject none -t shop/cart:9 --build-arg A=1",
        0,
        &["Step 1/1 : FROM scratch", "built sha256:", " as shop/cart:9"],
    );
    assert!(built.stderr.is_empty(), "{built:?}");
    // Its lines are no JSON.
    let json = shop.check(
        "docker build --inject none -t shop/cart:10 -o json",
        0,
        &["\"image\": \"sha256:", "Step 1/1 : FROM scratch"],
    );
    let value: serde_json::Value = serde_json::from_str(&json.stdout).expect("JSON");
    assert_eq!(
        (&value["tags"][0], &value["service"], &value["inject"]),
        (&"shop/cart:10".into(), &"cart".into(), &"none".into())
    );
    let quiet = shop.check("docker build --inject none --quiet", 0, &[]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    // The engine has them under their names.
    shop.check("deploy start --version 9 --image shop/cart:9 --dry-run", 0, &["deploy cart 9"]);
}

/// What trivy 0.50 answers of one image, cut down.
const TRIVY: &str = r#"cat <<'END'
{"SchemaVersion": 2, "ArtifactName": "shop/cart:1", "Results": [{"Target": "debian", "Class": "os-pkgs", "Type": "debian", "Vulnerabilities": [
 {"VulnerabilityID": "CVE-2024-1", "PkgName": "openssl", "InstalledVersion": "3.0.1", "FixedVersion": "3.0.2", "Severity": "HIGH", "Title": "a hole"}]}]}
END"#;

#[test]
fn a_scan_ends_by_its_limit() {
    let shop = Shop::new(ONE);
    shop.home.program("trivy", TRIVY);
    shop.check(
        "docker scan shop/cart:1",
        1,
        &["high", "CVE-2024-1", "openssl 3.0.1 (fixed in 3.0.2)", "a hole", "fails: the limit is high"],
    );
    let fine = shop.check("docker scan shop/cart:1 --fail-on critical --quiet", 0, &[]);
    assert_eq!(fine.stdout, "");
    let json = shop.check("docker scan shop/cart:1 --with trivy --fail-on critical -o json", 0, &[]).stdout;
    assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok() && json.contains("CVE-2024-1"), "{json}");
    let sarif = shop.check("docker scan shop/cart:1 --sarif", 1, &[]).stdout;
    let sarif: serde_json::Value = serde_json::from_str(&sarif).expect("JSON");
    assert_eq!(sarif["version"], "2.1.0");
    shop.check("docker scan shop/none:1 --with packages --advisories none.json", 3, &[]);
}

#[test]
fn an_image_that_nobody_can_look_into_says_what_to_do() {
    let shop = Shop::new(ONE);
    let ended = shop.home.start(shop.apm("docker scan shop/cart:1").env("PATH", shop.home.path("bin"))).ended();
    says("docker scan", &ended, 3, &["--advisories FILE", "osv.dev"]);
    shop.home.write("advisories.json", "[]\n");
    let line = "docker scan shop/none:1 --advisories advisories.json";
    shop.check(line, 3, &["shop/none:1", "pull or build it first"]);
}

#[test]
fn a_dockerfile_can_be_checked_as_it_is_written() {
    let home = Home::new();
    let check = |line: &str, told: &str, code: i32, expect: &[&str]| {
        let words: Vec<_> = line.split_whitespace().collect();
        says(line, &home.start_told(&mut home.apm(&words), told).ended(), code, expect);
    };
    let text = "FROM alpine:3.20 AS base\nRUN cd /tmp\nMAINTAINER ann\n";
    check("docker check -", text, 1, &["<stdin>"]);
    check("docker check - --fix=suggested", text, 2, &["standard input cannot be mended", "name the file"]);
    check("docker check - --target none", text, 2, &["no file has a stage `none`"]);
    check("docker check . --output sarif", "", 2, &["no Dockerfile found", "Containerfile"]);
    home.write("web/Dockerfile", text);
    home.write("web/node_modules/x/Dockerfile", "not ours");
    home.write("web/Dockerfile.dockerignore", "*.md\n");
    check("docker check --target base -o json", "", 1, &["web/Dockerfile"]);
    check("docker check web --ignore no-pint", "", 2, &["there is no rule `no-pint`"]);
    home.write("odd.Dockerfile", "FROM \u{0}");
    home.write("big/Containerfile", &"#".repeat(9 << 20));
    check("docker check big", "", 3, &["big/Containerfile"]);
}
