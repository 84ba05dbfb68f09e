//! `apm docker scan`: this machine's own package list in an image, and an advisory about one of its packages.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tests_journeys::{Dockerd, engine, tools};

use super::said;

#[test]
fn an_image_s_packages_are_compared_with_advisories() {
    let docker = Dockerd::shared();
    let base = docker.busybox_image();
    let dockerfile = format!("FROM {base}\nCOPY status /var/lib/dpkg/status\nCOPY release /etc/os-release\n");
    let (status, release) = (std::path::Path::new("/var/lib/dpkg/status"), std::path::Path::new("/etc/os-release"));
    docker.build("scan/debian:1", &dockerfile, &[("status", status), ("release", release)]);
    let query = Command::new(tools::system("dpkg-query"))
        .args(["-W", "-f", "${source:Package} ${source:Version} ${Package}", "dpkg"])
        .output();
    let installed = String::from_utf8_lossy(&query.expect("dpkg-query starts").stdout).into_owned();
    let [source, version, package] = installed.split(' ').collect::<Vec<_>>()[..] else { panic!("{installed}") };

    let home = tempfile::tempdir().expect("a folder");
    let advisories = home.path().join("osv.json");
    let write = |fixed: &str, ecosystem: &str| {
        let affected = json!([{
            "package": { "ecosystem": ecosystem, "name": source },
            "ranges": [{ "type": "ECOSYSTEM", "events": [{ "introduced": "0" }, { "fixed": fixed }] }],
            "ecosystem_specific": { "severity": "high" },
        }]);
        let text = json!([{ "id": "CVE-2026-1", "summary": "it is bad", "affected": affected }]).to_string();
        std::fs::write(&advisories, text).expect("written");
    };
    let path = advisories.to_str().expect("ASCII");
    let scan = |words: &[&str]| -> Output {
        let mut command = Command::new(engine::apm());
        command.args(["docker", "scan"]).args(words).env("DOCKER_HOST", &docker.host).current_dir(home.path());
        command.output().expect("apm starts")
    };
    let check = |words: &[&str], code: i32, expect: &[&str]| {
        let output = scan(&[&["scan/debian:1", "--advisories", path], words].concat());
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {text}");
        expect.iter().for_each(|words| assert!(text.contains(words), "{words}: {text}"));
        text
    };
    write(&format!("{version}+fixed"), "Debian:12");
    check(&[], 1, &["CVE-2026-1", package, "fails: the limit is high", "of them mended: a newer build"]);
    check(&["--fail-on", "critical"], 0, &["passes: the limit is critical"]);
    let log: Value = serde_json::from_str(&check(&["--sarif"], 1, &[])).expect("SARIF is JSON");
    assert_eq!(log["runs"][0]["results"][0]["ruleId"], "CVE-2026-1");
    // Mended here already, or another release's.
    write(version, "Debian:12");
    check(&[], 0, &["nothing found"]);
    write(&format!("{version}+fixed"), "Debian:11");
    check(&[], 0, &["nothing found"]);
    // What holds no list is unknown, not fine.
    let output = scan(&[base, "--advisories", path]);
    assert!(said(&output).contains("is not judged: the image has neither"), "{}", said(&output));
    let output = scan(&["scan/none:1", "--advisories", path]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let left = docker.docker(&["ps", "-aq", "--filter", "name=apm-scan-"]);
    assert_eq!(left, "", "a container was left");
}
