//! What environments make of manifests, as a kustomization: a base of the manifests as they are, and an overlay for each environment with its generators
//! and, for each object, the operations as a patch (RFC 6902). kustomize then makes the same objects, and goes on doing so when somebody edits the base.
//! It writes no file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::Disk;
use operate_manifest::generate::Generator;
use operate_manifest::{json_patch, yaml};
use serde_json::{Value, json};

use super::render::{Rendered, RenderedFile, RenderedObject, rendered};
use crate::release::Asked;
use crate::settings::Project;

/// A file that a generator reads; the generator's own limit is lower.
const FILE_BYTES_MAX: u64 = 4 << 20;

/// The files of a kustomization, by their paths in its folder: `base`, and `overlays/NAME` for each of these projects, which are one project in its
/// environments. With Secrets among the manifests their values are in these files.
pub async fn kustomize(
    projects: &[Project],
    asked: &Asked,
    disk: &dyn Disk,
) -> Result<(BTreeMap<PathBuf, Vec<u8>>, usize), Report> {
    let mut all = Vec::new();
    for project in projects {
        let picked = project.picked(asked)?;
        let rendered = rendered(&picked, &project.environment, disk).await?;
        let transform = picked.settings.deploy.kubernetes.transform.clone().unwrap_or_default();
        all.push((rendered, transform));
    }
    let mut files = BTreeMap::new();
    // What is the same text everywhere is the base; an environment with manifests of its own keeps them.
    let is_everywhere = |file: &RenderedFile| {
        all.iter().all(|(one, _)| one.files.iter().any(|own| own.name == file.name && own.before == file.before))
    };
    let base: Vec<&RenderedFile> =
        all.first().map(|(one, _)| one.files.iter().filter(|file| is_everywhere(file)).collect()).unwrap_or_default();
    let mut names = Names::default();
    let resources: Vec<String> = base.iter().map(|file| names.of(file)).collect();
    for (file, name) in base.iter().zip(&resources) {
        files.insert(Path::new("base").join(name), file.before.clone().into_bytes());
    }
    if !resources.is_empty() {
        files.insert("base/kustomization.yaml".into(), kustomization(json!({"resources": resources})));
    }
    for (rendered, transform) in &all {
        let folder = Path::new("overlays").join(&rendered.environment);
        if rendered.environment.is_empty()
            || rendered.environment.contains(['/', '\\'])
            || rendered.environment.starts_with('.')
        {
            return Err(Report::new(format!("the environment `{}` is no name of a folder", rendered.environment)));
        }
        let mut body = json!({});
        let mut own = Vec::new();
        if !resources.is_empty() {
            own.push("../../base".to_owned());
        }
        let mut names = Names::default();
        for file in rendered.files.iter().filter(|file| !is_everywhere(file)) {
            let name = names.of(file);
            files.insert(folder.join(&name), file.before.clone().into_bytes());
            own.push(name);
        }
        body["resources"] = json!(own);
        let all = &transform.generator_options;
        // In the order in which they were made.
        let mut made = rendered.generated.iter().map(|(made, _)| made.namespace.clone());
        for (key, generators) in
            [("configMapGenerator", &transform.config_map_generator), ("secretGenerator", &transform.secret_generator)]
        {
            let mut written = Vec::new();
            for generator in generators {
                let mut one = Generator {
                    namespace: made.next().filter(|namespace| !namespace.is_empty()),
                    options: generator.options.over(all),
                    ..generator.clone()
                };
                // The environment marks what is generated too.
                one.options.labels.extend(transform.labels.clone());
                one.options.annotations.extend(transform.annotations.clone());
                one.files = generator
                    .files
                    .iter()
                    .map(|entry| taken(entry, &folder, &mut files, disk))
                    .collect::<Result<_, _>>()?;
                one.envs = generator
                    .envs
                    .iter()
                    .map(|file| copied(file, &folder, &mut files, disk))
                    .collect::<Result<_, _>>()?;
                written.push(serde_json::to_value(&one).map_err(|error| Report::of(&error))?);
            }
            if !written.is_empty() {
                body[key] = json!(written);
            }
        }
        let patches = patches(rendered)?;
        if !patches.is_empty() {
            body["patches"] = json!(patches);
        }
        files.insert(folder.join("kustomization.yaml"), kustomization(body));
    }
    let secrets = all.iter().map(|(rendered, _)| rendered.secrets).max().unwrap_or(0);
    Ok((files, secrets))
}

fn kustomization(mut body: Value) -> Vec<u8> {
    body["apiVersion"] = json!("kustomize.config.k8s.io/v1beta1");
    body["kind"] = json!("Kustomization");
    yaml(&body).into_bytes()
}

/// A patch for each object to which something is done.
fn patches(rendered: &Rendered) -> Result<Vec<Value>, Report> {
    let objects: Vec<&RenderedObject> = rendered.files.iter().flat_map(|file| &file.objects).collect();
    let mut patches = Vec::new();
    for object in &objects {
        let identity = &object.identity;
        if identity.name.is_empty() {
            let report = Report::new(format!("{}: it has no name", object.place));
            return Err(report.hint("kustomize wants `metadata.name` of every object"));
        }
        let alike = |other: &&&RenderedObject| {
            (other.identity.group(), &other.identity.kind, &other.identity.name)
                == (identity.group(), &identity.kind, &identity.name)
        };
        if identity.namespace.is_none() && objects.iter().filter(alike).count() > 1 {
            let report = Report::new(format!("{}: a patch of it would be one of another object too", object.place));
            return Err(report.hint("write its `metadata.namespace`"));
        }
        if object.patch.is_empty() {
            continue;
        }
        let mut target = json!({"version": identity.version(), "kind": identity.kind, "name": exactly(&identity.name)});
        if !identity.group().is_empty() {
            target["group"] = json!(identity.group());
        }
        if let Some(namespace) = &identity.namespace {
            target["namespace"] = json!(exactly(namespace));
        }
        patches.push(json!({"target": target, "patch": format!("{:#}", json_patch(&object.patch))}));
    }
    Ok(patches)
}

/// kustomize reads a target's words as patterns.
fn exactly(name: &str) -> String {
    name.replace('.', "\\.")
}

/// `KEY=FILE` or `FILE` of a generator, with the file as it lies in the overlay; its key stays what it was.
fn taken(
    entry: &str,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
    disk: &dyn Disk,
) -> Result<String, Report> {
    let (key, file) = entry.split_once('=').unwrap_or((entry.rsplit('/').next().unwrap_or(entry), entry));
    Ok(format!("{key}={}", copied(file, folder, files, disk)?))
}

fn copied(
    file: &str,
    folder: &Path,
    files: &mut BTreeMap<PathBuf, Vec<u8>>,
    disk: &dyn Disk,
) -> Result<String, Report> {
    let bytes = disk.read(Path::new(file), FILE_BYTES_MAX).map_err(|error| Report::of(&error))?;
    let name = format!("files/{}", flat(file));
    files.insert(folder.join(&name), bytes);
    Ok(name)
}

/// A path as the name of one file.
fn flat(path: &str) -> String {
    let plain = |sign: char| if sign.is_ascii_alphanumeric() || "._".contains(sign) { sign } else { '-' };
    path.trim_matches(['.', '/']).chars().map(plain).collect::<String>().trim_matches('-').to_owned()
}

/// Names of files, each once.
#[derive(Default)]
struct Names(BTreeSet<String>);

impl Names {
    fn of(&mut self, file: &RenderedFile) -> String {
        let flat = flat(&file.name);
        let stem = [".yaml", ".yml", ".json"].iter().find_map(|end| flat.strip_suffix(end)).unwrap_or(&flat).to_owned();
        let end = if file.is_json { "json" } else { "yaml" };
        let mut name = format!("{stem}.{end}");
        let mut number = 2;
        while name == "kustomization.yaml" || !self.0.insert(name.clone()) {
            name = format!("{stem}-{number}.{end}");
            number += 1;
        }
        name
    }
}
