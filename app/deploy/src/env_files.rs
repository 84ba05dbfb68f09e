//! Files of variables that `env_file` of a service names, `{environment}` in their names filled in. A file marked `secret: true` has its values
//! sealed like any secret. Only what is listed is read; the process's own environment is not asked. What the files say can be used in the
//! service's own settings too.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;

use app_config::{Node, Variable};
use base_explain::{Place, Report};
use base_world::Disk;
use operate_deploy::{Secret, looks_secret};
use operate_execute::Seal;
use operate_target_docker::secret_name;
use serde::Deserialize;

/// A file of variables is not larger.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A path, or a path with what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum EnvFile {
    Path(String),
    Marked(Marked),
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marked {
    pub path: String,
    /// Its values are never shown.
    #[serde(default)]
    pub secret: bool,
}

/// Environment and service.
type OfService = (String, String);

/// The variables that files of a service name, for `${NAME}` in the service's own settings: each service and environment has its own. Read once, when
/// one is asked for. A file that cannot be read has none; the release that reads it says so.
pub struct ServiceVariables<'a> {
    /// The settings as they are written.
    file: Node,
    environment: String,
    disk: &'a dyn Disk,
    read: RefCell<BTreeMap<OfService, Vec<(String, Variable)>>>,
}

impl<'a> ServiceVariables<'a> {
    /// `text` is the settings' own; one that is no YAML has no variables.
    pub fn new(text: &str, environment: Option<&str>, disk: &'a dyn Disk) -> ServiceVariables<'a> {
        let file = app_config::from_yaml("apm.yaml", text).unwrap_or_default();
        let environment = environment.unwrap_or("default").to_owned();
        ServiceVariables { file, environment, disk, read: RefCell::default() }
    }

    /// The variable of this name, for the node at a path.
    pub fn look_up(&self, path: &[&str], name: &str) -> Option<Variable> {
        let (environment, service) = match path {
            // What names the files cannot wait for them.
            [.., "env_file"] => return None,
            ["services", service, ..] => (self.environment.as_str(), *service),
            ["environments", environment, "services", service, ..] => (*environment, *service),
            _ => return None,
        };
        let mut read = self.read.borrow_mut();
        let key = (environment.to_owned(), service.to_owned());
        let known = read.entry(key).or_insert_with(|| self.all(environment, service));
        known.iter().rev().find(|(known, _)| known == name).map(|(_, variable)| variable.clone())
    }

    /// The later ones win.
    fn all(&self, environment: &str, service: &str) -> Vec<(String, Variable)> {
        let of = |node: &Node| node.get("services")?.get(service)?.get("env_file").cloned();
        let own = self.file.get("environments").and_then(|all| all.get(environment)).and_then(of);
        let listed = own.or_else(|| of(&self.file)).unwrap_or_default();
        let mut found = Vec::new();
        for file in listed.items().iter().filter_map(|item| item.read::<EnvFile>().ok()) {
            let (path, secret) = file.parts();
            let path = path.replace("{environment}", environment);
            let text =
                self.disk.read(Path::new(&path), FILE_BYTES_MAX).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let pairs = text.and_then(|text| operate_compose::variables_strictly(&path, &text).ok());
            found.extend(pairs.into_iter().flatten().map(|(name, value)| {
                let secret = secret || looks_secret(&name, &value);
                (name, Variable { value, secret })
            }));
        }
        found
    }
}

impl EnvFile {
    /// Its path as it is written, and whether all of it is secret.
    pub(crate) fn parts(&self) -> (&str, bool) {
        match self {
            EnvFile::Path(path) => (path, false),
            EnvFile::Marked(marked) => (&marked.path, marked.secret),
        }
    }
}

/// Adds what the files say; a later file wins over an earlier one, and what is there already over both.
pub(crate) fn add(
    files: &[EnvFile],
    environment: &str,
    disk: &dyn Disk,
    seal: &Seal,
    env: &mut BTreeMap<String, String>,
    secrets: &mut BTreeMap<String, Secret>,
) -> Result<(), Report> {
    let (mut plain, mut sealed): (BTreeMap<String, String>, BTreeMap<String, Secret>) = Default::default();
    for file in files {
        let (path, secret) = file.parts();
        let path = path.replace("{environment}", environment);
        let told = |report: Report| report.because("`env_file` names it");
        let bytes = disk.read(Path::new(&path), FILE_BYTES_MAX).map_err(|error| told(Report::of(&error)))?;
        let text = String::from_utf8(bytes).map_err(|_| told(Report::new(format!("{path} is not UTF-8 text"))))?;
        let found = operate_compose::variables_strictly(&path, &text).map_err(|finding| {
            let mut place = Place::new(path.clone(), finding.place.line, finding.place.column);
            if !secret {
                place = place.in_text(text.clone(), 1);
            }
            Report::new(finding.message).at(place).hint(finding.hint)
        })?;
        for (name, value) in found {
            if secret {
                let seal_of = seal.seal(&secret_name(&name), value.as_bytes()).map_err(|error| Report::of(&error))?;
                plain.remove(&name);
                sealed.insert(name, Secret { sealed: seal_of, mark: seal.mark(value.as_bytes()) });
            } else {
                sealed.remove(&name);
                plain.insert(name, value);
            }
        }
    }
    // A name has one value, whoever says it.
    for (name, secret) in sealed {
        if !env.contains_key(&name) {
            secrets.entry(name).or_insert(secret);
        }
    }
    for (name, value) in plain {
        if !secrets.contains_key(&name) {
            env.entry(name).or_insert(value);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base_world::World;

    use super::*;

    /// Plain variables, and the names of sealed ones.
    type Expected<'a> = Result<(&'a [(&'a str, &'a str)], &'a [&'a str]), &'a str>;

    fn check(files: &[(&str, &str, bool)], expect: Expected<'_>) {
        let folder = tempfile::tempdir().expect("a folder");
        let listed: Vec<_> = files
            .iter()
            .map(|(name, text, secret)| {
                let path = folder.path().join(name.replace("{environment}", "prod"));
                base_world::replace_file(&*World::real().disk, &path, text.as_bytes()).expect("written");
                EnvFile::Marked(Marked { path: folder.path().join(name).display().to_string(), secret: *secret })
            })
            .collect();
        let seal = Seal::new(&[7; 32], World::real().random).expect("a seal");
        let (mut env, mut secrets) = (BTreeMap::from([("OWN".to_owned(), "yaml".to_owned())]), BTreeMap::new());
        let ended = add(&listed, "prod", &*World::real().disk, &seal, &mut env, &mut secrets);
        match (ended.map_err(|report| report.one_line()), expect) {
            (Ok(()), Ok((plain, sealed))) => {
                let found: Vec<_> = env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
                assert_eq!(found, plain);
                assert_eq!(secrets.keys().map(String::as_str).collect::<Vec<_>>(), sealed);
                assert!(!format!("{secrets:?}").contains("hush"));
            }
            (Err(found), Err(expect)) => assert!(found.contains(expect) && !found.contains("hush"), "{found}"),
            (found, expect) => panic!("{found:?}, not {expect:?}"),
        }
    }

    #[test]
    fn a_service_s_settings_use_its_files_and_those_of_its_environment() {
        let folder = tempfile::tempdir().expect("a folder");
        let disk = World::real().disk;
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            base_world::replace_file(&*disk, &path, text.as_bytes()).expect("written");
        };
        file("dev.env", "TAG=7\nDB_PASSWORD=hush\n");
        file("prod.env", "TAG=6\n");
        file("late.env", "TAG=8\n");
        file("keys", "PLAIN=hush\n");
        let at = folder.path().display();
        let text = format!(
            "services:\n  a: {{ env_file: [\"{at}/{{environment}}.env\", {{ path: \"{at}/keys\", secret: true }}] }}\n  b: {{ env_file: [\"{at}/dev.env\", \"{at}/late.env\", \"{at}/none\"] }}\n  c: {{}}\nenvironments:\n  prod: {{ services: {{ b: {{ env_file: [\"{at}/prod.env\"] }} }} }}\n"
        );
        let check = |environment: Option<&str>, path: &[&str], name: &str, expect: Option<(&str, bool)>| {
            let found = ServiceVariables::new(&text, environment, &*disk).look_up(path, name);
            assert_eq!(found.as_ref().map(|found| (found.value.as_str(), found.secret)), expect, "{path:?} {name}");
        };
        check(Some("dev"), &["services", "a", "image"], "TAG", Some(("7", false)));
        check(Some("prod"), &["services", "a", "image"], "TAG", Some(("6", false)));
        check(None, &["services", "a", "image"], "TAG", None);
        check(None, &["services", "a", "image"], "PLAIN", Some(("hush", true)));
        check(Some("dev"), &["services", "a", "env", "X"], "DB_PASSWORD", Some(("hush", true)));
        check(None, &["services", "b", "image"], "TAG", Some(("8", false)));
        check(None, &["environments", "prod", "services", "b", "image"], "TAG", Some(("6", false)));
        check(None, &["services", "c", "image"], "TAG", None);
        check(Some("dev"), &["services", "a", "env_file"], "TAG", None);
        check(Some("dev"), &["judge"], "TAG", None);
        assert_eq!(
            ServiceVariables::new("[", None, &*disk).look_up(&["services", "a"], "TAG").map(|found| found.value),
            None
        );
    }

    #[test]
    fn files_are_laid_over_each_other_and_secret_ones_are_sealed() {
        check(
            &[(".env", "A=1\nOWN=file\n", false), (".env.{environment}", "A=2\nB=${A}3\n", false)],
            Ok((&[("A", "2"), ("B", "23"), ("OWN", "yaml")], &[])),
        );
        check(&[(".env", "A=1\n", false), ("s", "A=hush\nB=hush\n", true)], Ok((&[("OWN", "yaml")], &["A", "B"])));
        check(&[(".env", "A=1\nB=${NOBODY}\n", false)], Err(".env:2:1"));
        check(&[("s", "A=hush\n\n  =hush\n", true)], Err("s:3:3"));
    }
}
