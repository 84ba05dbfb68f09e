//! Scans of an image's own package lists on an engine in memory, and scanners that are not there.

use std::path::PathBuf;

use app_adapt::{ScanError, scan};
use base_world::World;
use connect_docker::{Engine, Found, Place};
use connect_docker_fake::{FakeEngine, Fault, ImageSpec};
use operate_scan::{ScanSettings, Scanner};
use tempfile::TempDir;

struct Rig {
    fake: FakeEngine,
    engine: Engine,
    world: World,
    folder: TempDir,
}

impl Rig {
    fn new() -> Rig {
        let fake = FakeEngine::start().expect("a socket");
        let found = Found { place: Place::Unix(fake.socket().to_owned()), found_by: "the test".into() };
        let engine = Engine::new(found).expect("no TLS");
        Rig { fake, engine, world: World::real(), folder: tempfile::tempdir().expect("a folder") }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        base_world::replace_file(&*self.world.disk, &path, text.as_bytes()).expect("written");
        path
    }
}

fn by(with: Option<Scanner>, advisories: Option<PathBuf>) -> ScanSettings {
    ScanSettings { with, advisories, ..ScanSettings::default() }
}

const ADVISORY: &str = r#"{"id": "DSA-1", "aliases": ["CVE-2026-1"], "affected": [
    {"package": {"ecosystem": "Debian:12", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.0.9-2"}]}]},
    {"package": {"ecosystem": "Alpine:v3.19", "name": "openssl"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.4-r9"}]}]}
]}"#;
const DPKG: &str = "Package: libssl3\nStatus: install ok installed\nSource: openssl\nVersion: 3.0.9-1\n";
const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nID=debian\nVERSION_ID=12\n";

/// An image with these files, scanned by its package lists: `ID PACKAGE` of what is found, how many packages there are, and words of what is unknown.
async fn check(files: &[(&str, &str)], expect: &[&str], packages: usize, unknown: &str) {
    let rig = Rig::new();
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec())).collect();
    rig.fake.image("shop:1", ImageSpec { files, ..ImageSpec::default() });
    // One that was cut off before has left its container.
    let settings = by(None, Some(rig.write("osv.json", ADVISORY)));
    let left =
        connect_docker::ContainerSpec { name: "apm-scan-1".into(), image: "shop:1".into(), ..Default::default() };
    rig.engine.create_container(&left).await.expect("made");
    let found = scan(&rig.engine, &rig.world, "shop:1", &settings, Some("apm-scan-1")).await.expect("scanned");
    let shown: Vec<String> = found.findings.iter().map(|one| format!("{} {}", one.id, one.package)).collect();
    assert_eq!(
        (shown, found.packages, found.by.as_str()),
        (expect.iter().map(|one| (*one).to_owned()).collect(), Some(packages), "packages")
    );
    assert!(found.unknown.join("; ").contains(unknown), "`{unknown}` is not in {:?}", found.unknown);
    assert_eq!(rig.fake.container_names(), Vec::<String>::new());
    assert!(!rig.fake.asked().iter().any(|line| line.ends_with("/start")), "nothing of the image is run");
}

#[tokio::test]
async fn package_lists_are_read_out_of_a_container_that_never_runs() {
    let list = ("/var/lib/dpkg/status", DPKG);
    check(&[("/etc/os-release", DEBIAN), list], &["CVE-2026-1 libssl3"], 1, "pip, npm, jars").await;
    // Distroless: a file for each package, checksums beside them.
    let split = [
        ("/usr/lib/os-release", DEBIAN),
        ("/var/lib/dpkg/status.d/libssl3", DPKG),
        ("/var/lib/dpkg/status.d/libssl3.md5sums", "Package: not-one\nStatus: install ok installed\nVersion: 1\n"),
    ];
    check(&split, &["CVE-2026-1 libssl3"], 1, "").await;
    let alpine = [
        ("/etc/os-release", "ID=alpine\nVERSION_ID=3.19.1\n"),
        ("/lib/apk/db/installed", "C:Q1\nP:libcrypto3\nV:3.1.4-r0\no:openssl\n\nP:musl\nV:1.2.4-r2\n\n"),
    ];
    check(&alpine, &["CVE-2026-1 libcrypto3"], 2, "").await;
    check(&[], &[], 0, "neither dpkg's nor apk's").await;
}

/// The words of the error of a scan that cannot be made; no container is left.
async fn check_fails(rig: &Rig, image: &str, settings: &ScanSettings, words: &str) -> ScanError {
    let error = scan(&rig.engine, &rig.world, image, settings, None).await.expect_err("nobody can judge it");
    assert!(error.to_string().contains(words), "`{words}` is not in {error}");
    assert_eq!(rig.fake.container_names(), Vec::<String>::new());
    error
}

#[tokio::test]
async fn what_cannot_be_judged_is_not_called_fine() {
    let rig = Rig::new();
    rig.fake.image(
        "shop:1",
        ImageSpec { files: [("/etc/os-release".to_owned(), DEBIAN.into())].into(), ..ImageSpec::default() },
    );
    let error = check_fails(&rig, "shop:1", &by(Some(Scanner::Packages), None), "nothing here can judge shop:1").await;
    assert!(matches!(error, ScanError::NothingToAsk { .. }));
    check_fails(&rig, "shop:1", &by(None, Some(rig.folder.path().join("none.json"))), "none.json").await;
    check_fails(&rig, "shop:1", &by(None, Some(rig.write("page.json", "<html>"))), "page.json").await;
    let fine = rig.write("osv.json", ADVISORY);
    check_fails(&rig, "nobody/has:1", &by(None, Some(fine.clone())), "nobody/has:1").await;
    rig.fake.fail("/archive", 1, Fault::Refuse(500, "cannot look"));
    check_fails(&rig, "shop:1", &by(None, Some(fine.clone())), "cannot look").await;
    let empty = rig.write("empty.json", "[]");
    let found = scan(&rig.engine, &rig.world, "shop:1", &by(None, Some(empty)), None).await.expect("scanned");
    assert!(found.unknown.iter().any(|what| what.contains("advisories is empty")), "{:?}", found.unknown);
}
