//! A password reaches the container and nothing else: no line that is printed, no file that is kept.

use std::path::{Path, PathBuf};

use super::shop::{Shop, Stage};

const SECRET: &str = "pelican-Quartz+47/brass=Xylophone";
/// It has this in base64, wherever in a longer text it begins.
const BASE64: [&str; 3] = [
    "cGVsaWNhbi1RdWFydHorNDcvYnJhc3M9WHlsb3Bob25l",
    "BlbGljYW4tUXVhcnR6KzQ3L2JyYXNzPVh5bG9waG9uZ",
    "wZWxpY2FuLVF1YXJ0eis0Ny9icmFzcz1YeWxvcGhvbm",
];

pub(crate) fn a_secret_is_nowhere_but_in_the_container(stage: &Stage) {
    let docker = stage.docker;
    // A version that says the password aloud and ends.
    docker.build(
        "journey/store:blabs",
        "FROM journey/store-base:1\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo no way in with $DB_PASSWORD; exit 3\"]\n",
        &[],
    );
    let shop = Shop::new(stage, "secrets");
    let file = shop.home.path().join("password");
    std::fs::write(&file, format!("{SECRET}\n")).expect("the secret can be written");
    rights(&file, 0o644);
    // A second one comes by a file of variables, into a variable of another name.
    let keys = shop.home.path().join("keys");
    std::fs::write(&keys, format!("SECOND={SECRET}2\n")).expect("the secret can be written");
    rights(&keys, 0o600);
    let files_of = format!("env_file: [{{ path: {}, secret: true }}]", keys.display());
    let service = format!("  LATE: \"at ${{SECOND}}\"\n{files_of}\nsecrets:\n  DB_PASSWORD: {}", file.display());
    // Where it would be shown it is refused, at its place.
    shop.settings("judged: false\ncommand: [\"--key=${SECOND}\"]", &service);
    let words = ["`SECOND` would stand in the plan in clear", "command", "env: { SECOND: ${SECOND} }"];
    shop.deploy(&["--version", "1", "--dry-run"]).expect(2, &words);
    shop.settings("judged: false", &service);

    let open = format!("{} can be read by others (mode 0644): it holds DB_PASSWORD", file.display());
    let mended = format!("chmod 600 {}", file.display());
    let dry = shop.deploy(&["--version", "1", "--dry-run", "-vv"]).expect(0, &["DB_PASSWORD", "LATE", &open, &mended]);
    assert!(!dry.text.contains(&format!("{} can be read", keys.display())), "{}", dry.text);
    rights(&file, 0o600);
    assert!(shop.containers().is_empty(), "a dry run made containers: {}", dry.text);
    shop.deploy(&["--version", "1", "-vv"]).expect(0, &["complete"]);
    let env = docker.docker(&["exec", &shop.container(), "/bin/env"]);
    assert!(env.lines().any(|line| line == format!("DB_PASSWORD={SECRET}")), "the container has no password");
    assert!(env.lines().any(|line| line == format!("LATE=at {SECRET}2")), "the container has not the second");
    let old = shop.id();

    shop.deploy(&["--version", "blabs", "-vv"]).expect(1, &["ended with code 3", "no way in with $DB_PASSWORD"]);
    shop.is_restored(&old);
    for words in [&["status"][..], &["plan"], &["list"], &["status", "-vv"]] {
        shop.deploy(words);
    }
    // A password that changes is a release of its own.
    std::fs::write(&file, format!("{SECRET}{SECRET}")).expect("the secret can be written");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let env = docker.docker(&["exec", &shop.container(), "/bin/env"]);
    assert!(env.contains(&format!("DB_PASSWORD={SECRET}{SECRET}")), "the container has the old password");

    let mut files = files(shop.home.path());
    files.retain(|path| *path != file && *path != keys);
    files.extend(self::files(&shop.artefacts));
    let kept: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(kept.iter().any(|name| name.starts_with("history.db")) && kept.len() > 8, "looked at {kept:?} only");
    for path in files {
        let bytes = std::fs::read(&path).expect("it can be read");
        for needle in [&[SECRET], &BASE64[..]].concat() {
            let found = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
            assert_eq!(found, None, "{} holds `{needle}`", path.display());
        }
    }
}

fn rights(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its rights can be set");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is a folder").filter_map(Result::ok).map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
