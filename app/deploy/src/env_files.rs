//! Files of variables that `env_file` of a service names, `{environment}` in their names filled in. A file marked `secret: true` has its values
//! sealed like any secret. Only what is listed is read; the process's own environment is not asked.

use std::collections::BTreeMap;
use std::path::Path;

use base_explain::{Place, Report};
use base_world::Disk;
use operate_deploy::Secret;
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
        let (path, secret) = match file {
            EnvFile::Path(path) => (path, false),
            EnvFile::Marked(marked) => (&marked.path, marked.secret),
        };
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
