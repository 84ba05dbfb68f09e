//! An image with something known to be bad in it changes nothing; with the bar above it, it is released, and the report hangs on the run. Runs get tags, by
//! which they are found, kept and gone back to.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tests_journeys::{engine, tools, wait};

use super::shop::{Shop, Stage};

const IMAGE: &str = "127.0.0.1:1/shop/scanned";
const STATUS: &str = "Package: zlib1g\nStatus: install ok installed\nSource: zlib\nVersion: 1:1.2.13\n\nPackage: base-files\nStatus: install ok installed\nVersion: 12\n";
const RELEASE: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nID=debian\nVERSION_ID=12\n";

/// Versions 1 and 2 hold the bad package, 3 and 4 no list of packages at all.
fn images(shop: &Shop) {
    let folder = shop.home.path();
    for (name, text) in [("status", STATUS), ("os-release", RELEASE)] {
        std::fs::write(folder.join(name), text).expect("written");
    }
    let base = shop.docker.busybox_image();
    let lists = "COPY status /var/lib/dpkg/status\nCOPY os-release /etc/os-release\n";
    for (version, lists) in [("1", lists), ("2", lists), ("3", ""), ("4", "")] {
        let dockerfile = format!("FROM {base}\nENV VERSION={version}\n{lists}CMD [\"sleep\", \"1000\"]\n");
        let (status, release) = (folder.join("status"), folder.join("os-release"));
        shop.docker.build(&format!("{IMAGE}:{version}"), &dockerfile, &[("status", &status), ("os-release", &release)]);
    }
    let affected = json!([{
        "package": { "ecosystem": "Debian:12", "name": "zlib" },
        "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": "1:1.3" }] }],
        "ecosystem_specific": { "severity": "high" },
    }]);
    let text = json!([{ "id": "CVE-2026-7", "summary": "it writes past its end", "affected": affected }]).to_string();
    std::fs::write(folder.join("osv.json"), text).expect("written");
}

fn settings(shop: &Shop, scan: &str) {
    let scan = format!("scan: {{ advisories: osv.json, {scan} }}");
    shop.settings_of(IMAGE, &format!("judged: false\nstop_grace: 1s\nnetworks: [host]\n{scan}"), "");
}

/// The newest run.
fn newest(shop: &Shop) -> String {
    let listed = shop.deploy(&["list"]).expect(0, &[]).text;
    listed.split_whitespace().next().expect("a run").to_owned()
}

fn report(shop: &Shop, name: &str) -> Value {
    let text = shop.deploy(&["artefacts", "--get", name]).expect(0, &[]).text;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"))
}

fn sha256(bytes: &[u8]) -> String {
    let mut sum = Command::new(tools::system("sha256sum"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("sha256sum starts");
    sum.stdin.take().expect("its input").write_all(bytes).expect("it reads");
    let output = sum.wait_with_output().expect("it ends");
    String::from_utf8_lossy(&output.stdout).chars().take(12).collect()
}

pub(crate) fn an_image_that_is_known_to_be_bad_changes_nothing(stage: &Stage) {
    let shop = Shop::new(stage, "scanned");
    images(&shop);

    // The bar is above it: released, and what was found hangs on the run.
    settings(&shop, "fail_on: critical");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let first = newest(&shop);
    let listed = shop.deploy(&["artefacts"]).expect(0, &["plan.json", "verdicts.json", "before-images.json"]).text;
    for name in ["image-scan.json", "image-scan.sarif", "plan.json", "verdicts.json", "before-images.json"] {
        let line =
            listed.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap_or_else(|| panic!("{listed}"));
        let command = ["deploy", "artefacts", "--get", name];
        let output = engine::command(shop.home.path(), &engine::apm())
            .args(command)
            .env("DOCKER_HOST", &shop.docker.host)
            .output();
        let bytes = output.expect("apm starts").stdout;
        assert!(line.contains(&sha256(&bytes)), "{line}: what is handed out has {}", sha256(&bytes));
    }
    let found = report(&shop, "image-scan.json");
    let told = (&found["verdict"]["outcome"], &found["scan"]["findings"][0]["id"], &found["scan"]["packages"]);
    assert_eq!(told, (&json!("pass"), &json!("CVE-2026-7"), &json!(2)), "{found:#}");
    assert_eq!(report(&shop, "image-scan.sarif")["runs"][0]["results"][0]["ruleId"], "CVE-2026-7");

    // The bar is below it: shown beforehand with its command, refused before anything is touched, and named.
    settings(&shop, "fail_on: high");
    let (id, started) = (shop.id(), shop.inspect("{{.State.StartedAt}}"));
    let dry = shop.deploy(&["--version", "2", "--dry-run"]).expect(0, &["scan image 127.0.0.1:1/shop/scanned:2"]).text;
    let by_hand = dry.lines().find_map(|line| line.trim().strip_prefix("by hand apm docker scan ")).expect("a command");
    let mut command = engine::command(shop.home.path(), &engine::apm());
    command.args(["docker", "scan"]).args(by_hand.split(' ')).env("DOCKER_HOST", &shop.docker.host);
    let output = command.output().expect("apm starts");
    assert_eq!(output.status.code(), Some(1), "{by_hand}: {}", String::from_utf8_lossy(&output.stdout));
    let worst = "127.0.0.1:1/shop/scanned:2 has CVE-2026-7 (high) in zlib1g 1:1.2.13, fixed in 1:1.3";
    shop.deploy(&["--version", "2"]).expect(1, &[worst]);
    shop.deploy(&["status"]).expect(1, &[worst]);
    assert_eq!((shop.id(), shop.inspect("{{.State.StartedAt}}")), (id, started), "what runs was touched");
    assert_eq!(shop.containers(), [shop.container()]);
    assert_eq!(report(&shop, "image-scan.json")["fails"], true);

    // Accepted with a reason.
    settings(&shop, "ignore: [{ id: CVE-2026-7, reason: nobody reaches it }]");
    shop.deploy(&["--version", "2"]).expect(0, &["complete"]);
    let log = report(&shop, "image-scan.sarif");
    assert_eq!(log["runs"][0]["results"][0]["suppressions"][0]["justification"], "nobody reaches it");

    // Nobody knows: told and gone on with, or asked.
    settings(&shop, "fail_on: high");
    shop.deploy(&["--version", "3"]).expect(0, &["complete", "is not judged: the image has neither"]);
    assert_eq!(report(&shop, "image-scan.json")["verdict"]["outcome"], "unknown");
    settings(&shop, "unknown: halt");
    let id = shop.id();
    let mut asked = shop.begin(&["--version", "4"]);
    shop.says("asks ");
    assert!(asked.printed().contains("Release it unseen?"), "{}", asked.printed());
    // Killed while it looked: what it left is taken away by whoever goes on, and the question is asked again.
    asked.kill();
    let left = format!("apm-scan-{}-scan", newest(&shop));
    shop.docker.docker(&["create", "--name", &left, &format!("{IMAGE}:4"), "look"]);
    let mut goes_on = shop.begin(&["watch"]);
    wait::until("what was left to be taken away", 60, || match stage.id(&left) {
        None => Ok(()),
        Some(id) => Err(id),
    });
    shop.says("asks ");
    shop.deploy(&["reject"]).expect(0, &[]);
    super::shop::end(&mut goes_on).expect(1, &["said no"]);
    assert_eq!(shop.id(), id);
    let left = shop.docker.docker(&["ps", "-aq", "--filter", "name=apm-scan-"]);
    assert_eq!(left, "", "a container of a scan was left");

    tagged(&shop, &first);
}

/// The first of five runs gets a tag.
fn tagged(shop: &Shop, first: &str) {
    shop.deploy(&["tag", first, "golden", "calm", "--reason", "it never failed"]).expect(0, &["is calm, golden"]);
    shop.deploy(&["tag", first, "calm", "--remove"]).expect(0, &["is golden"]);
    shop.deploy(&["tag", first, "not a tag"]).expect(2, &["is no tag"]);
    let listed = shop.deploy(&["list", "--tag", "golden"]).expect(0, &[first, "[golden]"]).text;
    assert_eq!(listed.lines().count(), 1, "{listed}");
    shop.deploy(&["list", "--tag", "calm"]).expect(0, &["no run has that tag"]);
    let scans = shop.deploy(&["artefacts", "--tag", "golden", "--tag", "kind=image-scan"]).expect(0, &[first]).text;
    assert_eq!(scans.lines().count(), 2, "{scans}");
    // It is the oldest, and stays.
    let old = ["prune", "--older", "0m", "--keep", "1", "--dry-run"];
    let listed = shop.deploy(&old).expect(0, &[]).text;
    assert!(listed.lines().count() >= 3 && !listed.contains(first), "{listed}");
    shop.deploy(&[&old[..], &["--force", first]].concat()).expect(0, &[first]);
    settings(shop, "fail_on: critical");
    shop.deploy(&["rollback", "--to", "golden", "--yes"]).expect(0, &["complete"]);
    assert!(shop.inspect("{{.Config.Env}}").contains("VERSION=1"));
}
