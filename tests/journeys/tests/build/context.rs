//! What is sent to the engine is what Docker's own client sends: the same folder built by both, for each `.dockerignore`.

use std::path::Path;
use std::process::{Command, Stdio};

use tests_journeys::{Dockerd, engine, tools};

use super::said;

const FILES: &[&str] = &[
    "README.md",
    "main.py",
    ".env",
    ".git/config",
    "docs/a.md",
    "docs/b.txt",
    "docs/deep/c.md",
    "node_modules/x/index.js",
    "pkg/node_modules/y/index.js",
    "pkg/src/main.go",
    "pkg/src/main_test.go",
    "pkg/keep.txt",
    "a b/c d.txt",
    "[x]/y",
    "build/out.o",
    "build/keep/out.o",
];

const IGNORE: &[&str] = &[
    "",
    "# only a comment\n\n",
    "*.md\n",
    "**/*.md\n",
    "docs\n",
    "docs/\n",
    "/docs\n",
    "./docs/../docs\n",
    "*\n!main.py\n",
    "*\n!docs\ndocs/deep\n",
    "docs\n!docs/a.md\n",
    "docs/*\n!docs/*.txt\n",
    "build\n!build/keep\n",
    "pkg\n!**/keep.txt\n",
    "**\n!pkg/src\n",
    "**/node_modules\n",
    "*/node_modules\n",
    "**/*_test.go\n!pkg/src/main_test.go\n",
    "node_modules/**\n",
    "d?cs\n",
    "[a-d]ocs\n",
    "\\[x\\]\n",
    "a b\n",
    "  .env  \n.git\r\n",
    "Dockerfile\n.dockerignore\n",
    "*\n",
    "!README.md\n*.md\n",
    "docs/**/c.md\n",
    "\u{feff}docs\n",
];

#[test]
fn the_same_files_are_sent() {
    let docker = Dockerd::shared();
    let base = docker.busybox_image();
    let home = tempfile::tempdir().expect("a folder");
    for (number, ignore) in IGNORE.iter().enumerate() {
        let folder = home.path().join(number.to_string());
        make(&folder, ignore, base);
        let place = folder.to_str().expect("ASCII");
        docker.docker(&["build", "-q", "-t", "context:docker", place]);
        ours(docker, home.path(), &["docker", "build", place, "--inject", "none", "--tag", "context:apm"]);
        assert_eq!(sent(docker, "context:apm"), sent(docker, "context:docker"), "{ignore:?}");
    }
}

#[test]
fn a_dockerfile_from_elsewhere_is_not_in_the_build() {
    let docker = Dockerd::shared();
    let base = docker.busybox_image();
    let home = tempfile::tempdir().expect("a folder");
    let folder = home.path().join("project");
    make(&folder, ".env\n", base);
    let file = home.path().join("Other.Dockerfile");
    std::fs::rename(folder.join("Dockerfile"), &file).expect("moved");
    let (place, file) = (folder.to_str().expect("ASCII"), file.to_str().expect("ASCII"));
    docker.docker(&["build", "-q", "-t", "context:docker", "-f", file, place]);
    ours(docker, home.path(), &["docker", "build", place, "--file", file, "--inject", "none", "--tag", "context:apm"]);
    let names = |image: &str| {
        sent(docker, image).into_iter().filter(|line| !line.ends_with("/.dockerignore")).collect::<Vec<_>>()
    };
    assert_eq!(names("context:apm"), names("context:docker"));
}

fn make(folder: &Path, ignore: &str, base: &str) {
    for path in FILES {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("below")).expect("made");
        std::fs::write(&path, path.display().to_string()).expect("written");
    }
    std::os::unix::fs::symlink("main.py", folder.join("link")).expect("linked");
    std::fs::write(folder.join(".dockerignore"), ignore).expect("written");
    std::fs::write(folder.join("Dockerfile"), format!("FROM {base}\nCOPY . /sent\n")).expect("written");
}

fn ours(docker: &Dockerd, home: &Path, words: &[&str]) {
    let mut command = Command::new(engine::apm());
    command.args(words).env("DOCKER_HOST", &docker.host).current_dir(home);
    let output = command.output().expect("apm starts");
    assert!(output.status.success(), "{words:?}: {}", said(&output));
}

/// Mode, owner, size, time and name of all that came.
fn sent(docker: &Dockerd, image: &str) -> Vec<String> {
    let container = docker.docker(&["create", image, "x"]);
    let mut copy = docker
        .command()
        .args(["cp", &format!("{container}:/sent"), "-"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("docker starts");
    let mut tar = Command::new(tools::system("tar"));
    let listed = tar.args(["-tvf", "-"]).stdin(copy.stdout.take().expect("piped")).output().expect("tar starts");
    assert!(listed.status.success() && copy.wait().expect("it ends").success());
    docker.docker(&["rm", &container]);
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    // The folder itself is the step's own, made when it ran.
    let mut lines: Vec<String> = text.lines().filter(|line| !line.ends_with(" sent/")).map(str::to_owned).collect();
    lines.sort();
    lines
}
