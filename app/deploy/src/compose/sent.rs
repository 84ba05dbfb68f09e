//! A compose project that travels: read where its files are, with everything resolved that can be, and taken in by an engine elsewhere. Files that
//! containers see travel with it and are kept by the engine in a folder of its own, named by what is in them; folders do not travel, and one
//! that is not there is refused by name. It sends nothing itself, and does not know how long files are needed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::{Disk, DiskError, replace_file};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use operate_compose::{Ask, Node};
use operate_plan::digest;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{ComposeAsk, Composed, FILE_BYTES_MAX, Seen, Taken, told};
use crate::settings::Project;
use crate::{Desk, DeskError};

/// What a file is called in which a project travels; places in errors name it.
const FILE: &str = "/sent/compose.json";
/// All files of one project together; secrets and settings are small.
const FILES_BYTES_MAX: usize = 4 << 20;
/// Where they are kept, below the state folder.
const FOLDER: &str = "given";

/// See the module.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sent {
    /// In compose's canonical form, profiles chosen, variables filled in.
    project: Value,
    /// Whole paths where they were read, and what is in them, in base64.
    #[serde(default)]
    files: BTreeMap<String, String>,
}

impl std::fmt::Debug for Sent {
    /// Values of variables and files may be secret.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Sent").field("files", &self.files.len()).finish_non_exhaustive()
    }
}

/// Where an engine keeps what was sent: the path where it was read to the path where it is kept.
pub struct Given {
    folder: PathBuf,
    at: BTreeMap<PathBuf, (PathBuf, Vec<u8>)>,
}

impl Sent {
    /// Reads a project. `name` is what the settings here call it, if they do. The notes are for people, a line each.
    pub fn read(ask: &ComposeAsk<'_>, name: Option<&str>) -> Result<(Sent, Vec<String>), Report> {
        let read = super::reader(ask.disk);
        let project = operate_compose::load(&Ask {
            files: ask.files.clone(),
            name: name.map(str::to_owned),
            profiles: ask.profiles.clone(),
            environment: ask.environment,
            read: &read,
        });
        let project = project.map_err(|findings| told(&findings, &read))?;
        // What has no counterpart is said here, where its line is; which folders there are is known there.
        let mut taken = Taken::new(&project, Seen { there: &|_| true, elsewhere: false });
        let composed = Project::default().take(&project, &mut taken).map_err(|findings| told(&findings, &read))?;
        let mut files = BTreeMap::new();
        let mut bytes_left = FILES_BYTES_MAX;
        for section in ["secrets", "configs"] {
            for pair in project.root.get(section).map(Node::pairs).unwrap_or_default() {
                let Some(path) = pair.node.text_of("file") else { continue };
                let told = |report: Report| report.because(format!("`{}` of `{section}` is that file", pair.key));
                let bytes = ask.disk.read(Path::new(path), FILE_BYTES_MAX);
                let bytes = bytes.map_err(|error| told(Report::of(&error)))?;
                bytes_left = bytes_left.checked_sub(bytes.len()).ok_or_else(|| {
                    let report = Report::new(format!("secrets and configs have more than {FILES_BYTES_MAX} bytes"));
                    told(report).hint("put what is large into an image or a volume")
                })?;
                files.insert(path.to_owned(), STANDARD.encode(bytes));
            }
        }
        let mut project = project.root.json();
        // They are chosen here, and what is left out is gone.
        for service in project["services"].as_object_mut().into_iter().flat_map(|services| services.values_mut()) {
            service.as_object_mut().map(|service| service.remove("profiles"));
        }
        Ok((Sent { project, files }, composed.notes))
    }

    /// Where an engine with this state folder and this history keeps its files; makes nothing. What is no base64 is nobody's file.
    pub fn place(&self, state_folder: &Path, history: &str) -> Given {
        let folder = given_folder(state_folder, history);
        let place = |(path, text): (&String, &String)| {
            let bytes = STANDARD.decode(text).ok()?;
            let name = Path::new(path).file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let mark = digest(&bytes);
            Some((PathBuf::from(path), (folder.join(mark.short()).join(name), bytes)))
        };
        Given { at: self.files.iter().filter_map(place).collect(), folder }
    }

    /// Keeps the files, so that whoever runs this engine and its containers see them, and nobody else.
    pub fn keep(&self, given: &Given, disk: &dyn Disk) -> Result<(), DiskError> {
        if given.at.is_empty() {
            return Ok(());
        }
        disk.create_folder(&given.folder)?;
        only_ours(&given.folder);
        for (path, bytes) in given.at.values() {
            if disk.exists(path)? {
                continue;
            }
            if let Some(folder) = path.parent() {
                disk.create_folder(folder)?;
            }
            replace_file(disk, path, bytes)?;
        }
        Ok(())
    }
}

/// Below it a folder for each content. Engines of several projects have one state folder, and each removes only what its own history knows.
pub(crate) fn given_folder(state_folder: &Path, history: &str) -> PathBuf {
    state_folder.join(FOLDER).join(digest(&history).short())
}

/// What is below is read by the engine of Docker, and by nobody else.
fn only_ours(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        if let Err(error) = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700)) {
            tracing::warn!(%error, folder = %folder.display(), "files that were sent can be read by others");
        }
    }
}

/// As it is meant: a dollar begins no variable any more. Paths of files that were sent become those where they are kept.
fn taken(value: &Value, given: &Given) -> Value {
    match value {
        Value::String(text) => json!(text.replace('$', "$$")),
        Value::Array(items) => items.iter().map(|item| taken(item, given)).collect(),
        Value::Object(members) => {
            let one = |(name, member): (&String, &Value)| {
                let kept = member.as_str().filter(|_| name == "file").and_then(|path| given.at.get(Path::new(path)));
                let member = match kept {
                    Some((path, _)) => json!(path.display().to_string().replace('$', "$$")),
                    None => taken(member, given),
                };
                (name.clone(), member)
            };
            Value::Object(members.iter().map(one).collect())
        }
        other => other.clone(),
    }
}

impl Project {
    /// Takes in a project that was read elsewhere; its folders must be there on this machine.
    pub fn take_in_sent(&mut self, sent: &Sent, given: &Given, disk: &dyn Disk) -> Result<Composed, DeskError> {
        let text = taken(&sent.project, given).to_string();
        let read = |path: &Path| Ok((path == Path::new(FILE)).then(|| text.clone()));
        let nothing = BTreeMap::new();
        let project = operate_compose::load(&Ask {
            files: vec![PathBuf::from(FILE)],
            name: sent.project["name"].as_str().map(str::to_owned),
            profiles: Vec::new(),
            environment: &nothing,
            read: &read,
        });
        // Without the text beside it: what is in a project that travels is for nobody's log.
        let bare = |_: &Path| Ok(None);
        let project = project.map_err(|findings| DeskError::Settings(told(&findings, &bare)))?;
        if self.named && project.name != self.name {
            let report =
                Report::new(format!("this engine is of the project `{}`, not of `{}`", self.name, project.name));
            let hint = format!("write `name: {}` into the compose file, or ask the engine of that project", self.name);
            return Err(DeskError::Settings(report.hint(hint)));
        }
        let kept = |path: &Path| given.at.values().any(|(kept, _)| kept == path);
        let there = |path: &Path| kept(path) || disk.exists(path).unwrap_or(false);
        let mut taken = Taken::new(&project, Seen { there: &there, elsewhere: true });
        let composed = self.take(&project, &mut taken);
        if let Some(first) = taken.unseen.first() {
            let report = Report::new(format!("{first}, as far as this engine sees"));
            let report = taken.unseen.iter().skip(1).fold(report, |report, more| report.because(more.clone()));
            return Err(DeskError::HostPath(
                report.hint(
                    "folders do not travel: use a volume or an image, or make the folder on the engine's machine",
                ),
            ));
        }
        composed.map_err(|findings| DeskError::Settings(told(&findings, &bare)))
    }
}

/// The services of a project that are asked for, as releases with what they need.
pub fn parts(
    desk: &Desk,
    project: &Project,
    composed: &Composed,
    asked: &crate::Asked,
) -> Result<Vec<operate_deploy::Part>, DeskError> {
    let only = asked.service.as_ref();
    if only.is_none() && (asked.image.is_some() || asked.version.is_some()) {
        let report = Report::new("`--image` and `--version` are of one service");
        return Err(DeskError::Settings(report.hint("name it by `--service`; the others keep their images")));
    }
    let mut parts = Vec::new();
    for (service, needs) in &composed.order {
        if only.is_some_and(|only| only != service) {
            continue;
        }
        let mut asked = crate::Asked { service: Some(service.clone()), ..asked.clone() };
        let tagless = project.services.get(service).and_then(|known| known.image.as_deref()).is_some_and(is_tagless);
        if asked.version.is_none() && asked.image.is_none() && tagless {
            // As Docker reads it.
            asked.version = Some("latest".into());
        }
        let release = desk.release(project, &asked).map_err(DeskError::Settings)?;
        parts.push(operate_deploy::Part { release, needs: needs.clone() });
    }
    if let Some(only) = only.filter(|_| parts.is_empty()) {
        let names: Vec<_> = project.services.keys().map(String::as_str).collect();
        let report = Report::new(format!("there is no service `{only}` in the compose files"));
        return Err(DeskError::Settings(report.hint(format!("there are {}", names.join(", ")))));
    }
    Ok(parts)
}

/// Neither a tag nor a digest after the last slash.
fn is_tagless(image: &str) -> bool {
    !image.rsplit('/').next().unwrap_or(image).contains([':', '@'])
}

#[cfg(test)]
mod tests;
