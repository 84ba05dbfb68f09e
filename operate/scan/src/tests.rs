//! Versions in order, packages from their files, advisories that hold or do not, reports of scanners in one form.

use std::cmp::Ordering;

use crate::{
    Advisories, Ecosystem, Finding, Package, Scan, ScanSettings, Severity, Verdict, apk, base, compare, dpkg, grype,
    json, sarif, severity, snyk, text, trivy,
};

#[test]
fn versions_in_order() {
    // Each is newer than the one before it.
    let check = |ecosystem, versions: &[&str]| {
        for (at, a) in versions.iter().enumerate() {
            for (other, b) in versions.iter().enumerate() {
                assert_eq!(compare(ecosystem, a, b), at.cmp(&other), "{a} and {b}");
            }
        }
    };
    check(
        Ecosystem::Debian,
        &[
            "1.0~rc1-1",
            "1.0-1",
            "1.0-1+deb12u1",
            "1.0-1+deb12u2",
            "1.0-1+deb12u10",
            "1.0+dfsg-1",
            "1.0.1-1",
            "1.9-1",
            "1.10-1",
            "1:0.1-1",
        ],
    );
    check(
        Ecosystem::Alpine,
        &["1.2_alpha1-r0", "1.2_rc1-r0", "1.2-r0", "1.2-r1", "1.2-r10", "1.2_p1-r0", "1.2.1-r0", "1.10-r0"],
    );
    assert_eq!(compare(Ecosystem::Debian, "1.0-0", "1.0"), Ordering::Equal);
    assert_eq!(compare(Ecosystem::Debian, "007", "7"), Ordering::Equal);
}

const STATUS: &str = "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\nDescription: x\n y\n\nPackage: gone\nStatus: deinstall ok config-files\nVersion: 1\n\nPackage: libc6\nStatus: install ok installed\nSource: glibc (2.36-9)\nVersion: 2.36-9+b1\n";

#[test]
fn packages_of_their_files() {
    let found = dpkg(STATUS);
    let shown: Vec<String> =
        found.iter().map(|one| format!("{} {} {} {}", one.name, one.version, one.source, one.source_version)).collect();
    assert_eq!(shown, ["libssl3 3.0.9-1 openssl 3.0.9-1", "libc6 2.36-9+b1 glibc 2.36-9"]);
    let found = apk("C:Q1\nP:libcrypto3\nV:3.1.4-r0\no:openssl\n\nP:musl\nV:1.2.4-r2\n\n");
    assert_eq!((found.len(), found[0].source.as_str(), found[1].source.as_str()), (2, "openssl", "musl"));
    let known = base("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\nID=debian\n").expect("a base");
    assert_eq!(
        (known.name.as_str(), known.id.as_str(), known.version.as_str()),
        ("Debian GNU/Linux 12 (bookworm)", "debian", "12")
    );
    assert_eq!(base("nothing"), None);
    assert!(dpkg("").is_empty() && dpkg(&"\n".repeat(1000)).is_empty());
}

/// `ID PACKAGE FIXED` of what an advisory's `affected` says about the packages above, on Debian 12.
fn check_advisory(affected: &str, expect: &[&str]) {
    let text = format!(
        "[{{\"id\": \"DSA-1\", \"aliases\": [\"CVE-2026-1\"], \"database_specific\": {{\"severity\": \"LOW\"}}, \"affected\": [{affected}]}}]"
    );
    let advisories = Advisories::read(&text).expect("advisories");
    let base = base("ID=debian\nVERSION_ID=12\n");
    let packages: Vec<Package> = dpkg(STATUS);
    let found = advisories.match_all(Ecosystem::Debian, base.as_ref(), &packages);
    let shown: Vec<String> = found
        .iter()
        .map(|one| {
            format!("{} {} {} {}", one.id, one.package, one.fixed.as_deref().unwrap_or("-"), one.severity.name())
        })
        .collect();
    assert_eq!(shown, expect, "{affected}");
}

#[test]
fn advisories_hold_for_the_versions_they_name() {
    let one = |ecosystem: &str, name: &str, events: &str| {
        format!(
            "{{\"package\": {{\"ecosystem\": \"{ecosystem}\", \"name\": \"{name}\"}}, \"ranges\": [{{\"type\": \"ECOSYSTEM\", \"events\": [{events}]}}]}}"
        )
    };
    let fixed = r#"{"introduced": "0"}, {"fixed": "3.0.9-1+deb12u1"}"#;
    check_advisory(&one("Debian:12", "openssl", fixed), &["CVE-2026-1 libssl3 3.0.9-1+deb12u1 info"]);
    check_advisory(&one("Debian", "openssl", fixed), &["CVE-2026-1 libssl3 3.0.9-1+deb12u1 info"]);
    check_advisory(&one("Debian:11", "openssl", fixed), &[]);
    check_advisory(&one("Alpine:v3.19", "openssl", fixed), &[]);
    check_advisory(&one("Debian:12", "openssl", r#"{"introduced": "0"}, {"fixed": "3.0.9-1"}"#), &[]);
    check_advisory(&one("Debian:12", "openssl", r#"{"introduced": "3.1"}"#), &[]);
    check_advisory(&one("Debian:12", "openssl", r#"{"introduced": "0"}"#), &["CVE-2026-1 libssl3 - info"]);
    check_advisory(
        &one("Debian:12", "glibc", r#"{"introduced": "0"}, {"last_affected": "2.36-9"}"#),
        &["CVE-2026-1 libc6 - info"],
    );
    check_advisory(
        &one("Debian:12", "glibc", r#"{"introduced": "0"}, {"fixed": "1"}, {"introduced": "2.36"}, {"fixed": "3"}"#),
        &["CVE-2026-1 libc6 3 info"],
    );
    check_advisory(
        r#"{"package": {"ecosystem": "Debian:12", "name": "glibc"}, "versions": ["2.36-9"]}"#,
        &["CVE-2026-1 libc6 - info"],
    );
}

#[test]
fn files_of_advisories_have_three_forms() {
    let one = "{\"id\": \"A\"}";
    for (text, count) in
        [(one.to_owned(), 1), (format!("[{one}, {one}]"), 2), (format!("{one}\n{one}\n"), 2), (String::new(), 0)]
    {
        assert_eq!(Advisories::read(&text).expect("read").len(), count, "{text}");
    }
    assert_eq!(Advisories::read("{\"id\": \"A\", \"withdrawn\": \"2026-01-01\"}").expect("read").len(), 0);
    assert!(Advisories::read("<html>").is_err());
}

#[test]
fn reports_of_scanners_have_one_form() {
    let expect = Finding {
        id: "CVE-2026-1".into(),
        severity: Severity::Critical,
        package: "openssl".into(),
        version: "3.0".into(),
        fixed: Some("3.1".into()),
        title: "bad".into(),
        of_base: true,
        ignored: None,
    };
    let check =
        |found: Result<Vec<Finding>, crate::BadReport>| assert_eq!(found.expect("read"), std::slice::from_ref(&expect));
    check(trivy(
        r#"{"SchemaVersion": 2, "Results": [{"Class": "os-pkgs", "Vulnerabilities": [{"VulnerabilityID": "CVE-2026-1", "PkgName": "openssl", "InstalledVersion": "3.0", "FixedVersion": "3.1", "Severity": "CRITICAL", "Title": "bad"}]}, {"Class": "lang-pkgs"}]}"#,
    ));
    check(grype(
        r#"{"matches": [{"vulnerability": {"id": "CVE-2026-1", "severity": "Critical", "description": "bad", "fix": {"versions": ["3.1"]}}, "artifact": {"name": "openssl", "version": "3.0", "type": "deb"}}]}"#,
    ));
    check(snyk(
        r#"{"packageManager": "deb", "vulnerabilities": [{"id": "SNYK-1", "identifiers": {"CVE": ["CVE-2026-1"]}, "severity": "critical", "packageName": "openssl", "version": "3.0", "nearestFixedInVersion": "3.1", "title": "bad"}]}"#,
    ));
    assert!(trivy("{}").is_err() && grype("{}").is_err() && snyk("{}").is_err() && trivy("no").is_err());
}

#[test]
fn a_verdict_counts_what_nobody_rated_as_high() {
    let finding = |id: &str, word: &str| Finding {
        id: id.into(),
        severity: severity(word),
        package: "p".into(),
        version: "1".into(),
        fixed: None,
        title: String::new(),
        of_base: true,
        ignored: None,
    };
    let scan = |list: &[&str]| Scan {
        image: "shop:1".into(),
        by: "packages".into(),
        findings: list.iter().enumerate().map(|(at, word)| finding(&format!("CVE-{at}"), word)).collect(),
        ..Scan::default()
    };
    assert!(scan(&["unknown"]).fails(Severity::High) && !scan(&["medium"]).fails(Severity::High));
    assert!(!scan(&[]).fails(Severity::Info));
    let sorted = scan(&["low", "critical", "medium"]).tidy();
    let words: Vec<&str> = sorted.findings.iter().map(|one| one.severity.name()).collect();
    assert_eq!(words, ["critical", "warning", "info"]);
    let shown = text(&sorted, Some(Severity::High));
    assert!(shown.contains("1 critical, 1 warning, 1 info") && shown.contains("fails: the limit is high"), "{shown}");
    let log = sarif(&sorted, "1.0.0");
    assert_eq!(log["runs"][0]["results"].as_array().map(Vec::len), Some(3));
    assert_eq!(log["runs"][0]["results"][0]["level"], "error");
    let unseen = Scan { unknown: vec!["no package list".into()], ..scan(&[]) };
    assert!(unseen.verdict_on_base().contains("is not judged"), "{}", unseen.verdict_on_base());
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test compares with a file and a blessed one is written")]
fn a_code_host_reads_sarif_as_it_is_kept() {
    let finding = |id: &str, severity, package: &str, fixed: Option<&str>, title: &str| Finding {
        id: id.into(),
        severity,
        package: package.into(),
        version: "1.2".into(),
        fixed: fixed.map(str::to_owned),
        title: title.into(),
        of_base: false,
        ignored: None,
    };
    let scan = Scan {
        image: "registry.example.org:5000/team/shop:1 2".into(),
        by: "trivy".into(),
        findings: vec![
            finding("CVE-2026-2", Severity::Critical, "openssl", Some("1.3"), "a hole"),
            finding("CVE-2026-2", Severity::High, "libssl", None, "a hole"),
            finding("CVE-2026-1", Severity::Warning, "zlib", Some("2"), ""),
            finding("CVE-2026-3", Severity::Info, "musl", None, "a scratch"),
        ],
        ..Scan::default()
    };
    let got = format!("{:#}\n", sarif(&scan, "1.2.3"));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/golden/shop.sarif");
    if std::env::var_os("APM_BLESS").is_some() {
        std::fs::write(path, &got).unwrap();
    }
    assert_eq!(got, std::fs::read_to_string(path).unwrap_or_default(), "APM_BLESS=1 writes it anew");
}

/// Of three findings the verdict's beginning, by these settings and for this limit.
fn check_verdict(settings: &str, blind: bool, expect: &str) {
    let finding = |id: &str, severity, package: &str, fixed: Option<&str>| Finding {
        id: id.into(),
        severity,
        package: package.into(),
        version: "1".into(),
        fixed: fixed.map(str::to_owned),
        title: String::new(),
        of_base: true,
        ignored: None,
    };
    let findings = match blind {
        true => Vec::new(),
        false => vec![
            finding("CVE-1", Severity::High, "zlib", Some("2")),
            finding("CVE-2", Severity::Critical, "openssl", None),
            finding("CVE-3", Severity::Warning, "bash", Some("2")),
        ],
    };
    let unknown = vec!["nobody looked".to_owned()];
    let scan =
        Scan { image: "shop:1".into(), by: "grype".into(), findings, unknown, is_blind: blind, ..Scan::default() };
    let settings: ScanSettings = serde_json::from_str(settings).expect("settings");
    let scan = settings.apply(scan.tidy());
    let verdict = scan.verdict(settings.fail_on);
    let word = match &verdict {
        Verdict::Pass(_) => "pass",
        Verdict::Fail(_) => "fail",
        Verdict::Unknown(_) => "unknown",
    };
    let told = format!("{word}: {}", verdict.sentence());
    assert!(told.starts_with(expect), "{told}\n{expect}");
    // Whoever reads the forms is told the same.
    let shown = json(&scan, Some(settings.fail_on));
    assert_eq!(shown["verdict"]["outcome"], word, "{shown}");
    assert_eq!(shown["fails"].as_bool(), (word != "unknown").then_some(word == "fail"));
    let results = &sarif(&scan, "1")["runs"][0]["results"];
    let suppressed =
        results.as_array().into_iter().flatten().filter(|result| !result["suppressions"].is_null()).count();
    assert_eq!(suppressed, scan.findings.len() - scan.counted().count());
}

#[test]
fn a_verdict_names_the_worst_and_says_what_was_accepted() {
    check_verdict(
        "{}",
        false,
        "fail: shop:1 has CVE-2 (critical) in openssl 1, no version is fixed yet: 2 findings are high or worse, by grype; the base image",
    );
    check_verdict(
        r#"{"fail_on": "critical"}"#,
        false,
        "fail: shop:1 has CVE-2 (critical) in openssl 1, no version is fixed yet: 1 finding is critical",
    );
    check_verdict(
        r#"{"fail_on": "medium", "ignore": ["CVE-1", "CVE-2"]}"#,
        false,
        "fail: shop:1 has CVE-3 (warning) in bash 1, fixed in 2: 1 finding is warning or worse, by grype; 2 are ignored",
    );
    check_verdict(
        r#"{"ignore_unfixed": true}"#,
        false,
        "fail: shop:1 has CVE-1 (high) in zlib 1, fixed in 2: 1 finding",
    );
    let accepted =
        r#"{"fail_on": "CRITICAL", "ignore": [{"id": "CVE-2", "package": "openssl", "reason": "not reached"}]}"#;
    check_verdict(
        accepted,
        false,
        "pass: nothing of shop:1 is critical, 2 lesser, by grype; 1 are ignored by the settings; unknown: nobody looked",
    );
    let another =
        r#"{"fail_on": "critical", "ignore": [{"id": "CVE-2", "package": "libressl", "reason": "not reached"}]}"#;
    check_verdict(another, false, "fail: shop:1 has CVE-2");
    // What nobody looked at is not fine, whatever is accepted.
    check_verdict(
        r#"{"fail_on": "critical", "ignore_unfixed": true}"#,
        true,
        "unknown: shop:1 is not judged: nobody looked",
    );
    for wrong in [
        r#"{"fail_on": "bad"}"#,
        r#"{"severity": "high"}"#,
        r#"{"ignore": [{"id": "CVE-1"}]}"#,
        r#"{"unknown": "pass"}"#,
    ] {
        assert!(serde_json::from_str::<ScanSettings>(wrong).is_err(), "{wrong}");
    }
}
