//! Manifests as they would go to a cluster, as texts with their comments and as objects. What a text is shown as is read again and compared with the object
//! that would be applied, so that the one is never another than the other. It asks no cluster.

use base_explain::Report;
use base_world::Disk;
use operate_manifest::generate::Generated;
use operate_manifest::mask::{is_secret, mask_text, masked};
use operate_manifest::{Draft, Edit, Identity, Limits, Op, edit, read, yaml};
use serde_json::{Value, json};

use super::manifests::generated;
use super::ops::{Meant, ops};
use super::picked::Picked;
use crate::manifests::ManifestText;
use crate::release::Asked;
use crate::settings::Project;

/// Everything that one environment makes of the manifests.
#[derive(Debug, Clone)]
pub struct Rendered {
    pub environment: String,
    pub files: Vec<RenderedFile>,
    pub(crate) generated: Vec<(Generated, Value)>,
    /// How many objects are Secrets.
    pub secrets: usize,
    /// What could not be done as well as it should, for people.
    pub notes: Vec<String>,
}

/// A text, before and after.
#[derive(Debug, Clone)]
pub struct RenderedFile {
    pub name: String,
    pub before: String,
    pub after: String,
    pub(crate) is_json: bool,
    pub(crate) objects: Vec<RenderedObject>,
}

#[derive(Debug, Clone)]
pub(crate) struct RenderedObject {
    pub(crate) identity: Identity,
    pub(crate) place: String,
    pub(crate) after: Value,
    /// What was done, but for the names of what is generated.
    pub(crate) patch: Vec<Op>,
}

impl Project {
    /// What the chosen environment makes of the manifests; an object that names no namespace gets one only if settings or flags say which.
    pub async fn render(&self, asked: &Asked, disk: &dyn Disk) -> Result<Rendered, Report> {
        let picked = self.picked(asked)?;
        rendered(&picked, &self.environment, disk).await
    }
}

pub(super) async fn rendered(picked: &Picked<'_>, environment: &str, disk: &dyn Disk) -> Result<Rendered, Report> {
    let namespace = picked.namespace.clone();
    let texts = picked.texts(namespace.as_deref(), disk).await?;
    let meant = picked.meant(namespace.as_deref().unwrap_or_default(), environment);
    let made = generated(&meant, disk)?;
    let mut rendered = Rendered {
        environment: environment.to_owned(),
        files: Vec::new(),
        generated: Vec::new(),
        secrets: 0,
        notes: Vec::new(),
    };
    for text in texts {
        let file = file(&meant, text, &made, &mut rendered.notes)?;
        rendered.secrets += file.objects.iter().filter(|one| is_secret(&one.after)).count();
        rendered.files.push(file);
    }
    for one in &made {
        let place = format!("a generator of the settings ({} {})", one.kind, one.plain);
        let mut draft = Draft::new(one.object.clone());
        draft.take(ops(&meant, &place, &one.object, &made)?);
        rendered.secrets += usize::from(one.kind == "Secret");
        rendered.generated.push((one.clone(), draft.value));
    }
    if rendered.files.iter().all(|file| file.objects.is_empty()) && rendered.generated.is_empty() {
        let report = Report::new("no manifests found");
        return Err(report.hint("name a file, or a folder with manifests, a chart or a kustomization"));
    }
    Ok(rendered)
}

pub(super) fn file(
    meant: &Meant<'_>,
    text: ManifestText,
    generated: &[Generated],
    notes: &mut Vec<String>,
) -> Result<RenderedFile, Report> {
    let (mut objects, mut edits) = (Vec::new(), Vec::new());
    for object in &text.file.objects {
        let place = format!("{}:{}: {}", object.file, object.line(), object.identity);
        let before = object.json();
        let made = ops(meant, &place, &before, generated)?;
        let patch = if generated.is_empty() { made.clone() } else { ops(meant, &place, &before, &[])? };
        edits.extend(made.iter().map(|op| Edit { object, change: op.change() }));
        let mut draft = Draft::new(before);
        draft.take(made);
        objects.push(RenderedObject { identity: object.identity.clone(), place, after: draft.value, patch });
    }
    let limits = Limits { bytes_max: text.text.len().max(Limits::default().bytes_max) * 2, ..Limits::default() };
    let after = match edits.is_empty() {
        true => text.text.clone(),
        false => match edit(&text.text, &edits, &limits).ok().filter(|after| means(after, &objects, &limits)) {
            Some(after) => after,
            None => {
                notes.push(format!("{}: its comments cannot be kept", text.name));
                objects.iter().map(|one| yaml(&one.after)).collect::<Vec<_>>().join("---\n")
            }
        },
    };
    let is_json = text.text.trim_start().starts_with('{');
    Ok(RenderedFile { name: text.name, before: text.text, after, is_json, objects })
}

/// Whether a text is these objects.
fn means(text: &str, objects: &[RenderedObject], limits: &Limits) -> bool {
    let Ok(file) = read("after", text, limits) else { return false };
    file.objects.len() == objects.len() && file.objects.iter().zip(objects).all(|(is, be)| is.json() == be.after)
}

impl Rendered {
    /// With the values of Secrets masked, before and after.
    pub fn masked(mut self) -> Result<Rendered, Report> {
        for file in &mut self.files {
            let limits =
                Limits { bytes_max: file.after.len().max(Limits::default().bytes_max) * 2, ..Limits::default() };
            for text in [&mut file.before, &mut file.after] {
                *text = mask_text(&file.name, text, &limits).map_err(|error| Report::of(&error))?.0;
            }
            for object in &mut file.objects {
                object.after = masked(&object.after);
                // What was set may be a value.
                object.patch.clear();
            }
        }
        for (made, object) in &mut self.generated {
            made.object = masked(&made.object);
            *object = masked(object);
        }
        Ok(self)
    }

    /// All of it as one text of YAML.
    pub fn yaml(&self) -> String {
        let files = self.files.iter().map(|file| file.after.clone());
        let mut text = String::new();
        for part in files.chain(self.generated.iter().map(|(_, object)| yaml(object))) {
            if part.trim().is_empty() {
                continue;
            }
            if !text.is_empty() && !part.starts_with("---") {
                text.push_str("---\n");
            }
            text.push_str(&part);
            if !part.ends_with('\n') {
                text.push('\n');
            }
        }
        text
    }

    /// All objects as a `List`, as `kubectl get -o json` writes several.
    pub fn json(&self) -> Value {
        let files = self.files.iter().flat_map(|file| file.objects.iter().map(|one| &one.after));
        let items: Vec<&Value> = files.chain(self.generated.iter().map(|(_, object)| object)).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }

    /// Each text that becomes another one: its name, before, after. What is generated was nothing before.
    pub fn changes(&self) -> Vec<(String, String, String)> {
        let files = self.files.iter().filter(|file| file.before != file.after);
        let files = files.map(|file| (file.name.clone(), file.before.clone(), file.after.clone()));
        let made = self
            .generated
            .iter()
            .map(|(one, object)| (format!("{} {} (generated)", one.kind, one.name), String::new(), yaml(object)));
        files.chain(made).collect()
    }
}
