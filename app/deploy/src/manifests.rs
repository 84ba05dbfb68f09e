//! Which files and folders hold manifests, and what another program must render first. Reads texts and says what each is; checks and applies nothing.

mod render;

use std::path::{Path, PathBuf};

use base_explain::Report;
use base_world::Disk;
use operate_manifest::{File, FileKind, Limits, ReadError, look, read};

pub use render::{Rendering, render_manifests};

/// Files of one call.
const FILES_MAX: usize = 20_000;
const FILE_BYTES_MAX: u64 = 10 << 20;
/// All files together, in bytes.
const BYTES_MAX: usize = 500 << 20;
/// Folders within folders.
const DEPTH_MAX: usize = 12;
/// Folders that hold other people's files.
const PASSED_OVER: &[&str] = &["node_modules", "target", "vendor"];

/// Where manifests come from.
#[derive(Debug, Clone)]
pub enum ManifestSource {
    /// A file of objects, or one that was named or should be one and cannot be read.
    File { path: PathBuf, text: String, file: Result<File, ReadError> },
    /// A folder that kustomize renders.
    Kustomization(PathBuf),
    /// A folder that helm renders.
    Chart(PathBuf),
    /// A file that is a chart's, outside of one.
    Template(PathBuf),
}

/// All sources below these files and folders, in the order they are named in and of their names. What else stands in a folder is passed over; a file that
/// is named is meant.
pub fn manifest_sources(paths: &[PathBuf], disk: &dyn Disk) -> Result<Vec<ManifestSource>, Report> {
    let mut walk = Walk { disk, sources: Vec::new(), files: 0, bytes: 0 };
    for path in paths {
        match disk.list(path) {
            Ok(entries) => walk.folder(path, &entries, 0)?,
            Err(_) => walk.file(path, true)?,
        }
    }
    Ok(walk.sources)
}

/// A text of objects: a file, or what another program made of a folder.
#[derive(Debug, Clone)]
pub struct ManifestText {
    /// For people, and in front of every place.
    pub name: String,
    /// Nothing for what was rendered.
    pub path: Option<PathBuf>,
    pub text: String,
    pub file: File,
}

/// The texts of all sources, those of folders by their own programs.
pub async fn manifest_texts(
    paths: &[PathBuf],
    disk: &dyn Disk,
    rendering: &Rendering<'_>,
) -> Result<Vec<ManifestText>, Report> {
    let mut texts = Vec::new();
    for source in manifest_sources(paths, disk)? {
        texts.push(match source {
            ManifestSource::File { path, text, file } => {
                let file = file.map_err(|error| Report::of(&error))?;
                ManifestText { name: path.display().to_string(), path: Some(path), text, file }
            }
            rendered => {
                let (name, text) = render_manifests(&rendered, rendering).await?;
                let limits = Limits { bytes_max: render::RENDERED_BYTES_MAX, ..Limits::default() };
                let file = read(&name, &text, &limits).map_err(|error| Report::of(&error))?;
                ManifestText { name, path: None, text, file }
            }
        });
    }
    Ok(texts)
}

struct Walk<'d> {
    disk: &'d dyn Disk,
    sources: Vec<ManifestSource>,
    files: usize,
    bytes: usize,
}

impl Walk<'_> {
    fn folder(&mut self, folder: &Path, entries: &[base_world::Entry], depth: usize) -> Result<(), Report> {
        if depth > DEPTH_MAX {
            let report = Report::new(format!("{} is more than {DEPTH_MAX} folders deep", folder.display()));
            return Err(report.hint("name the folder of the manifests alone"));
        }
        let has = |names: &[&str]| entries.iter().any(|entry| !entry.is_folder && names.contains(&entry.name.as_str()));
        if has(&["Chart.yaml"]) {
            self.sources.push(ManifestSource::Chart(folder.to_owned()));
            return Ok(());
        }
        let rendered = has(&["kustomization.yaml", "kustomization.yml", "Kustomization"]);
        if rendered {
            self.sources.push(ManifestSource::Kustomization(folder.to_owned()));
        }
        for entry in entries {
            let path = if folder == Path::new(".") { PathBuf::from(&entry.name) } else { folder.join(&entry.name) };
            if entry.name.starts_with('.') {
                continue;
            }
            // Links are not followed into folders: they may go round in circles.
            if entry.is_folder && !PASSED_OVER.contains(&entry.name.as_str()) && !path.is_symlink() {
                let inner = self.disk.list(&path).map_err(|error| Report::of(&error))?;
                self.folder(&path, &inner, depth + 1)?;
            } else if !entry.is_folder && !rendered && is_yaml(&entry.name) {
                self.file(&path, false)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, named: bool) -> Result<(), Report> {
        self.files += 1;
        if self.files > FILES_MAX {
            let report = Report::new(format!("there are more than {FILES_MAX} files"));
            return Err(report.hint("name the folder of the manifests alone"));
        }
        let name = path.display().to_string();
        let bytes = self.disk.read(path, FILE_BYTES_MAX).map_err(|error| Report::of(&error))?;
        self.bytes += bytes.len();
        if self.bytes > BYTES_MAX {
            let report = Report::new(format!("the files have more than {BYTES_MAX} bytes together"));
            return Err(report.hint("name the folder of the manifests alone"));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            Report::new(format!("{name}: byte {} is no UTF-8 text", error.utf8_error().valid_up_to()))
        })?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned();
        let (kind, file) = look(&name, &text, &Limits::default());
        let source = match kind {
            FileKind::Kustomization => ManifestSource::Kustomization(folder),
            FileKind::Chart => ManifestSource::Chart(folder),
            FileKind::HelmTemplate => ManifestSource::Template(path.to_owned()),
            FileKind::Manifest | FileKind::Unreadable => ManifestSource::File { path: path.to_owned(), text, file },
            _ if named => ManifestSource::File { path: path.to_owned(), text, file },
            FileKind::Compose | FileKind::Kubeconfig | FileKind::ToolSettings | FileKind::Other => return Ok(()),
        };
        // Both a folder and its `kustomization.yaml` may be named.
        let same = |known: &ManifestSource| match (known, &source) {
            (ManifestSource::Kustomization(known), ManifestSource::Kustomization(folder))
            | (ManifestSource::Chart(known), ManifestSource::Chart(folder)) => known == folder,
            _ => false,
        };
        if matches!(source, ManifestSource::File { .. }) || !self.sources.iter().any(same) {
            self.sources.push(source);
        }
        Ok(())
    }
}

fn is_yaml(name: &str) -> bool {
    [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests;
