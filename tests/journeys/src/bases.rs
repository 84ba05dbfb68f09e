//! Base images with this machine's own Python, Node and Java, since no registry can be reached: the program, its libraries and a busybox, imported as
//! they lie on the disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::docker::libraries;
use crate::{Dockerd, tools};

impl Dockerd {
    /// `journey/python:1`, with the packages of the tool `python-flask`.
    pub fn python_image(&self) {
        let python = tools::tool("python-flask");
        let asked = Command::new(&python)
            .args(["-c", "import sys, sysconfig; print(sys.base_prefix); print(sysconfig.get_path('stdlib')); print(sysconfig.get_path('purelib')); print('%d.%d' % sys.version_info[:2])"])
            .output()
            .expect("Python starts");
        let text = String::from_utf8_lossy(&asked.stdout).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let [prefix, library, packages, version] = lines[..] else { panic!("{text}") };
        let program = format!("{prefix}/bin/python{version}");
        let modules = std::fs::read_dir(format!("{library}/lib-dynload")).expect("modules");
        let modules = modules.filter_map(|entry| Some(entry.ok()?.path()));
        let needed = needed(std::iter::once(PathBuf::from(&program)).chain(modules));
        let left_out =
            ["test", "__pycache__", "config-*", "idlelib", "ensurepip", "site-packages", "tkinter", "lib2to3"];
        let own = format!("{library}/site-packages");
        let script = format!(
            "mkdir -p /usr/local/bin && for name in python python3; do ln -s {program} /usr/local/bin/$name; done && ln -s /opt/packages {own}"
        );
        self.import(
            "journey/python:1",
            &needed,
            &[library, &program],
            &left_out,
            &[("/opt/packages", Path::new(packages))],
            &script,
        );
    }

    /// `journey/node:1`
    pub fn node_image(&self) {
        let node = tools::system("node");
        let needed = needed(std::iter::once(node.clone()));
        let program = node.display().to_string();
        let script = "mkdir -p /usr/local/bin && ln -s /usr/bin/node /usr/local/bin/node";
        self.import("journey/node:1", &needed, &[&program], &[], &[], script);
    }

    /// `journey/java:1`
    pub fn java_image(&self) {
        let java = std::fs::canonicalize(tools::system("java")).expect("java is there");
        let home = java.ancestors().nth(2).expect("HOME/bin/java").to_path_buf();
        let lib = home.join("lib");
        let parts = [
            "libjava.so",
            "libnet.so",
            "libnio.so",
            "libzip.so",
            "libinstrument.so",
            "libmanagement.so",
            "server/libjvm.so",
        ];
        let needed = needed(
            std::iter::once(java.clone()).chain(parts.iter().map(|part| lib.join(part)).filter(|path| path.exists())),
        );
        let place = home.display().to_string();
        let left_out =
            ["jmods", "docs", "man", "src.zip", "legal", "include", "libawt*", "libfreetype*", "javac", "jshell"];
        let script = format!("mkdir -p /usr/local/bin && ln -s {place}/bin/java /usr/local/bin/java");
        self.import("journey/java:1", &needed, &[&place], &left_out, &[], &script);
    }

    /// An image of files of the disk at their own paths, links followed, and of folders at other places; with a shell, and a script of it run at the end.
    fn import(
        &self,
        image: &str,
        files: &BTreeSet<PathBuf>,
        trees: &[&str],
        left_out: &[&str],
        moved: &[(&str, &Path)],
        script: &str,
    ) {
        if self.try_docker(&["image", "inspect", image]).is_ok() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let tar = folder.path().join("base.tar");
        let pack = |first: bool, words: &[String]| {
            let mut command = Command::new(tools::system("tar"));
            command.arg(if first { "-chf" } else { "-rhf" }).arg(&tar).args(["--warning=no-file-changed"]).args(words);
            let output = command.output().expect("tar starts");
            assert!(output.status.success(), "tar: {}", String::from_utf8_lossy(&output.stderr));
        };
        let relative = |path: &str| path.trim_start_matches('/').to_owned();
        // Twice in one file, it would be a link to itself.
        let outside = files.iter().filter(|path| !trees.iter().any(|tree| path.starts_with(tree)));
        let mut words = vec!["--hard-dereference".to_owned(), "-C".to_owned(), "/".to_owned()];
        words.extend(left_out.iter().map(|name| format!("--exclude={name}")));
        words.extend(trees.iter().map(|path| relative(path)));
        words.extend(outside.map(|path| relative(&path.display().to_string())));
        pack(true, &words);
        for (to, from) in moved {
            let words = [
                "-C".to_owned(),
                from.display().to_string(),
                "--exclude=__pycache__".to_owned(),
                format!("--transform=s,^\\.,{},", relative(to)),
                ".".to_owned(),
            ];
            pack(false, &words);
        }
        let raw = format!("{image}-raw");
        self.docker(&["import", tar.to_str().expect("ASCII"), &raw]);
        let busybox = tools::system("busybox");
        let dockerfile = format!(
            "FROM {raw}\nCOPY busybox /bin/busybox\nRUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/usr/local/bin:/bin\nRUN mkdir -p -m 1777 /tmp && {script}\n"
        );
        self.build(image, &dockerfile, &[("busybox", &busybox)]);
    }
}

/// The libraries of all of them.
fn needed(programs: impl Iterator<Item = PathBuf>) -> BTreeSet<PathBuf> {
    programs.flat_map(|program| libraries(&program)).collect()
}
