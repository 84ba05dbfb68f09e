//! Secrets that others on this machine can read: files of secrets, files of variables, and files that are mounted, by their rights. As `ssh` does with a
//! private key; but a release is not refused for it. It opens no file but those of variables, and of these it tells names alone.

use std::path::Path;

use base_world::Disk;
use operate_deploy::{Volume, looks_secret};
use operate_plan::{Finding, Severity};

use crate::ServiceSettings;

/// Group and others.
const OTHERS: u32 = 0o077;
/// `S_IFMT` and `S_IFREG` of inode(7).
const KIND: u32 = 0o170_000;
const FILE: u32 = 0o100_000;
/// A file of variables is not larger.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A warning for each, in the order of the settings.
pub(crate) fn findings(
    service: &str,
    settings: &ServiceSettings,
    volumes: &[Volume],
    environment: &str,
    disk: &dyn Disk,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut look = |path: &str, what: String| {
        // What cannot be looked at cannot be read either, and whoever reads it says so.
        let mode = disk.mode(Path::new(path)).ok().flatten();
        let Some(mode) = mode.filter(|mode| mode & KIND == FILE && mode & OTHERS != 0) else { return };
        found.push(Finding {
            rule: "secret-exposed".to_owned(),
            severity: Severity::Warning,
            step: None,
            message: format!("{path} can be read by others (mode {:04o}): {what}", mode & 0o7777),
            fix: format!("chmod 600 {}", quoted(path)),
        });
    };
    for (variable, path) in &settings.secrets {
        look(&path.display().to_string(), format!("it holds {variable} of {service}"));
    }
    for file in &settings.env_file {
        let (path, secret) = file.parts();
        let path = path.replace("{environment}", environment);
        if secret {
            look(&path, format!("it holds secret variables of {service}"));
        } else if let Some(name) = secret_of(&path, disk) {
            look(&path, format!("it holds {name} of {service}"));
        }
    }
    for volume in volumes.iter().filter(|volume| volume.named().is_none()) {
        let name = Path::new(&volume.source).file_name().unwrap_or_default().to_string_lossy();
        if looks_secret(&name, "") {
            look(&volume.source, format!("it is mounted into {service} at {}", volume.path));
        }
    }
    found
}

/// The first variable of a file that looks secret.
fn secret_of(path: &str, disk: &dyn Disk) -> Option<String> {
    let text = String::from_utf8(disk.read(Path::new(path), FILE_BYTES_MAX).ok()?).ok()?;
    let all = operate_compose::variables_strictly(path, &text).ok()?;
    all.into_iter().find(|(name, value)| looks_secret(name, value)).map(|(name, _)| name)
}

/// As a shell takes it for one word.
fn quoted(path: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,@%".contains(c);
    if path.chars().all(plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use base_world::World;

    use super::*;
    use crate::env_files::{EnvFile, Marked};

    #[test]
    fn a_secret_that_others_can_read_is_warned_of() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = World::real().disk;
        let file = |name: &str, text: &str, mode: u32| {
            use std::os::unix::fs::PermissionsExt as _;
            let path = folder.path().join(name);
            base_world::replace_file(&*World::real().disk, &path, text.as_bytes()).expect("written");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("its rights");
            path
        };
        let text = |path: std::path::PathBuf| path.display().to_string();
        let volume = |path: std::path::PathBuf| Volume { source: text(path), path: "/x".into(), read_only: true };
        let settings = ServiceSettings {
            secrets: BTreeMap::from([
                ("OPEN".to_owned(), file("open it's", "hush", 0o644)),
                ("SHUT".to_owned(), file("shut", "hush", 0o600)),
            ]),
            env_file: vec![
                EnvFile::Marked(Marked { path: text(file("marked", "A=hush", 0o640)), secret: true }),
                EnvFile::Path(text(file("plain.{environment}", "", 0o644))),
                EnvFile::Path(text(file("named", "LEVEL=info\nTOKEN=hush", 0o604))),
                EnvFile::Path(text(file("level", "LEVEL=info", 0o644))),
                EnvFile::Path("/nowhere".into()),
            ],
            ..ServiceSettings::default()
        };
        file("plain.prod", "TOKEN=hush", 0o600);
        let volumes = [
            volume(file("tls.key", "hush", 0o444)),
            volume(file("app.conf", "", 0o644)),
            volume(file("db_password", "hush", 0o400)),
            Volume { source: "secret".into(), path: "/named".into(), read_only: false },
        ];
        let found = findings("cart", &settings, &volumes, "prod", &*disk);
        let folder = folder.path().display();
        let told: Vec<_> = found.iter().map(|one| format!("{}; {}", one.message, one.fix)).collect();
        let expect = [
            format!(
                "{folder}/open it's can be read by others (mode 0644): it holds OPEN of cart; chmod 600 '{folder}/open it'\\''s'"
            ),
            format!(
                "{folder}/marked can be read by others (mode 0640): it holds secret variables of cart; chmod 600 {folder}/marked"
            ),
            format!(
                "{folder}/named can be read by others (mode 0604): it holds TOKEN of cart; chmod 600 {folder}/named"
            ),
            format!(
                "{folder}/tls.key can be read by others (mode 0444): it is mounted into cart at /x; chmod 600 {folder}/tls.key"
            ),
        ];
        assert_eq!(told, expect);
    }
}
