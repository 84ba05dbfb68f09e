//! Images into the cluster's containerd: two of our own, made of the machine's static busybox without any engine, and whatever a Docker engine or an
//! archive holds. It does not know what runs of them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::json;
use sha2::{Digest, Sha256};

use super::control_plane::system;
use super::instance::Instance;
use super::node::socket;
use super::processes;
use crate::sh;

/// What holds a pod's namespaces.
pub(super) const PAUSE: &str = "apm.test/pause:1";
/// A shell and the usual small programs, for pods of tests.
pub(super) const BUSYBOX: &str = "apm.test/busybox:1";

/// Loads our own two, unless they are there.
pub(super) fn load_own(instance: &Instance) -> sh::Outcome {
    let archive = instance.folder.join("images.tar");
    if archive.is_file() {
        return Ok(());
    }
    let answers = || sh::output(ctr(instance)?.arg("version"));
    if !processes::wait(30, || answers().is_ok()) {
        return Err(format!("containerd does not answer:\n{}", processes::last_lines(instance, "containerd")));
    }
    let new = archive.with_extension("new");
    write_own(&new).map_err(|error| format!("cannot make {}: {error}", new.display()))??;
    import(instance, &new)?;
    std::fs::rename(&new, &archive).map_err(|error| format!("cannot rename {}: {error}", new.display()))
}

/// Loads images by name from the Docker engine that `docker` speaks to, or archives by path.
pub(super) fn load(instance: &Instance, images: &[String]) -> sh::Outcome {
    if !instance.has_node() {
        return Err(format!("cluster `{}` has no real node that could run images", instance.name));
    }
    for image in images {
        if Path::new(image).is_file() {
            import(instance, Path::new(image))?;
        } else {
            let archive = instance.folder.join(format!("load-{}.tar", std::process::id()));
            let saved = sh::output(sh::program("docker").args(["save", "-o"]).arg(&archive).arg(image));
            let loaded = saved.and_then(|_| import(instance, &archive));
            let _ = std::fs::remove_file(&archive);
            loaded?;
        }
        println!("{image} is in cluster {}", instance.name);
    }
    Ok(())
}

fn import(instance: &Instance, archive: &Path) -> sh::Outcome {
    sh::output(ctr(instance)?.args(["--namespace", "k8s.io", "images", "import"]).arg(archive)).map(drop)
}

fn ctr(instance: &Instance) -> sh::Outcome<Command> {
    let mut command = Command::new(system("ctr")?);
    command.args(["--address", &socket(instance)]).stdin(Stdio::null());
    Ok(command)
}

/// An archive as `docker save` writes it (Docker image specification 1.2): one layer, two images.
fn write_own(archive: &Path) -> std::io::Result<sh::Outcome> {
    let busybox = match system("busybox") {
        Ok(busybox) => std::fs::read(busybox)?,
        Err(problem) => return Ok(Err(problem)),
    };
    let layer = layer(&busybox)?;
    let diff = format!("sha256:{:x}", Sha256::digest(&layer));
    let config = |command: &[&str]| {
        let config = json!({ "Cmd": command, "Env": ["PATH=/bin"] });
        let root = json!({ "type": "layers", "diff_ids": [diff] });
        json!({ "architecture": architecture(), "os": "linux", "config": config, "rootfs": root }).to_string()
    };
    let pause = config(&["/bin/busybox", "sleep", "2147483647"]);
    let shell = config(&["/bin/sh"]);
    let manifest = json!([
        { "Config": "pause.json", "RepoTags": [PAUSE], "Layers": ["layer.tar"] },
        { "Config": "busybox.json", "RepoTags": [BUSYBOX], "Layers": ["layer.tar"] },
    ]);
    let mut tar = tar::Builder::new(std::fs::File::create(archive)?);
    file(&mut tar, "layer.tar", 0o644, &layer)?;
    file(&mut tar, "pause.json", 0o644, pause.as_bytes())?;
    file(&mut tar, "busybox.json", 0o644, shell.as_bytes())?;
    file(&mut tar, "manifest.json", 0o644, manifest.to_string().as_bytes())?;
    tar.finish().map(Ok)
}

/// `/bin/busybox`, a link to it for each of its programs, and the folders a program expects.
fn layer(busybox: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (folder, mode) in [("bin", 0o755), ("etc", 0o755), ("proc", 0o755), ("root", 0o700), ("tmp", 0o1777)] {
        let mut header = header(mode, 0);
        header.set_entry_type(tar::EntryType::Directory);
        tar.append_data(&mut header, format!("{folder}/"), std::io::empty())?;
    }
    file(&mut tar, "bin/busybox", 0o755, busybox)?;
    // A static program would look for more sources of names in libraries, which are not there.
    file(&mut tar, "etc/nsswitch.conf", 0o644, b"hosts: files dns\nservices: files\npasswd: files\ngroup: files\n")?;
    file(&mut tar, "etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n")?;
    for program in [
        "sh", "cat", "date", "dd", "echo", "env", "false", "grep", "head", "hostname", "httpd", "id", "ip", "kill",
        "ls", "mkdir", "mkfifo", "nc", "nslookup", "ps", "rm", "sed", "seq", "sleep", "tail", "test", "touch", "tr",
        "true", "wget",
    ] {
        let mut header = header(0o777, 0);
        header.set_entry_type(tar::EntryType::Symlink);
        tar.append_link(&mut header, format!("bin/{program}"), "busybox")?;
    }
    tar.into_inner()
}

fn file<W: std::io::Write>(tar: &mut tar::Builder<W>, path: &str, mode: u32, data: &[u8]) -> std::io::Result<()> {
    tar.append_data(&mut header(mode, data.len() as u64), path, data)
}

fn header(mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_mode(mode);
    header.set_size(size);
    header
}

/// As Go calls this machine's processor.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
