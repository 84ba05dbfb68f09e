//! `apm docker check --fix` never changes what the built image does: files built before and after, by Docker's own client, have the same settings and the
//! same file system.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;
use tests_journeys::{Dockerd, engine, tools};

use super::said;

/// Each has something that is mended safely.
const FILES: &[(&str, &str)] = &[
    (
        "keywords and stages",
        "from BASE as Build\nrun echo one > /one\nFrom BASE\ncopy --from=Build /one /two\ncmd [\"cat\", \"/two\"]\n",
    ),
    (
        "old forms of ENV and LABEL",
        "FROM BASE\nENV GREETING hello there you\nENV A=1 B=$GREETING\nLABEL team the shop\nRUN echo \"$GREETING $A $B\" > /said\n",
    ),
    (
        "mixed keywords with a health check",
        "FROM BASE\nWorkDir /app\nadd app.txt ./\nCopy folder /app/folder/\nhealthcheck --interval=5s Cmd true\nentrypoint [\"cat\"]\nCmd [\"app.txt\"]\n",
    ),
    ("a stage on a stage", "FROM BASE AS Base\nENV KEY value of it\nFROM Base\nRUN echo $KEY > /key\nUSER 1000:1000\n"),
];

#[test]
fn a_safe_fix_changes_no_image() {
    let docker = Dockerd::shared();
    let base = docker.busybox_image();
    let home = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(home.path().join("folder")).expect("made");
    for path in ["app.txt", "folder/a", "folder/b"] {
        std::fs::write(home.path().join(path), path).expect("written");
    }
    let file = home.path().join("Dockerfile");
    for (name, text) in FILES {
        let text = text.replace("BASE", base);
        std::fs::write(&file, &text).expect("written");
        let before = image(docker, home.path());
        let mut fix = Command::new(engine::apm());
        let output =
            fix.args(["docker", "check", "--fix", "Dockerfile"]).current_dir(home.path()).output().expect("apm starts");
        let after_text = std::fs::read_to_string(&file).expect("read");
        assert_ne!(after_text, text, "{name}: nothing was mended, so nothing is proved");
        let after = image(docker, home.path());
        assert_eq!(before.0, after.0, "{name}: settings\n{text}\n{after_text}{}", said(&output));
        assert_eq!(before.1, after.1, "{name}: files\n{text}\n{after_text}");
    }
}

type Listing = BTreeMap<String, (u32, u32, Vec<u8>)>;

/// The settings of the image a folder gives, and its files: mode, owner, content or the link's end.
fn image(docker: &Dockerd, folder: &Path) -> (Value, Listing) {
    let id = docker.docker(&["build", "-q", "--no-cache", folder.to_str().expect("ASCII")]);
    let mut all: Value = serde_json::from_str(&docker.docker(&["image", "inspect", &id])).expect("JSON");
    let mut config = all[0]["Config"].take();
    // The id of the image it was built on, and the container's name while it was built.
    for key in ["Image", "Hostname"] {
        config[key] = Value::Null;
    }
    let container = docker.docker(&["create", &id, "x"]);
    let out = tempfile::tempdir().expect("a folder");
    let mut export =
        docker.command().args(["export", &container]).stdout(Stdio::piped()).spawn().expect("docker starts");
    let unpacked = Command::new(tools::system("tar"))
        .args(["-x", "-C"])
        .arg(out.path())
        .stdin(export.stdout.take().expect("piped"))
        .status()
        .expect("tar starts");
    assert!(unpacked.success() && export.wait().expect("it ends").success());
    docker.docker(&["rm", &container]);
    let mut listing = Listing::new();
    list(out.path(), out.path(), &mut listing);
    (config, listing)
}

fn list(root: &Path, folder: &Path, into: &mut Listing) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let about = std::fs::symlink_metadata(&path).expect("there");
        let content = if about.is_symlink() {
            std::fs::read_link(&path).expect("a link").display().to_string().into_bytes()
        } else if about.is_file() && about.len() < 100_000 {
            std::fs::read(&path).expect("read")
        } else {
            about.len().to_string().into_bytes()
        };
        let name = path.strip_prefix(root).expect("below").display().to_string();
        let content = if about.is_dir() { Vec::new() } else { content };
        into.insert(name, (about.permissions().mode(), about.uid(), content));
        if about.is_dir() {
            list(root, &path, into);
        }
    }
}
