//! How `apm` itself is put into a cluster: its chart (`assets/charts/apm`), embedded, and the objects that it makes of values, without Helm.
//!
//! The chart is the one source: Helm renders the same files. It is pure: it opens no file, asks no cluster, and makes no token.

mod chart;
mod evaluate;
mod template;
mod values;
mod yaml;

use operate_manifest::{Limits, Manifests, Object, ReadError, read};
use serde_json::{Value, json};

pub use chart::{ChartKind, KINDS};
use evaluate::Scope;
pub use template::TemplateError;
pub use values::{Values, ValuesError};

/// What is installed, and how.
#[derive(Debug, Clone)]
pub struct Install {
    /// The release: all names begin with it.
    pub name: String,
    pub namespace: String,
    pub values: Values,
}

/// Why there are no objects.
#[derive(Debug, thiserror::Error)]
pub enum InstallError {
    #[error(transparent)]
    Template(#[from] TemplateError),
    #[error("the chart made something that is no manifest: {0}")]
    Manifest(#[from] ReadError),
    #[error("`{0}` cannot be a release's name: at most 40 of a-z, 0-9 and `-`, a letter or digit at both ends")]
    Name(String),
}

/// A text that came of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// `templates/engine.yaml`
    pub file: &'static str,
    pub text: String,
}

/// Longer ones would leave no room for what is put behind them: a label has 63 letters.
const NAME_MAX: usize = 40;

impl Install {
    /// The templates, filled; those that came out empty are left out. The Secret of tokens is not among them: [`Install::token_secret`] makes it.
    pub fn render(&self) -> Result<Vec<Rendered>, InstallError> {
        self.check_name()?;
        let scope = self.scope()?;
        let mut rendered = Vec::new();
        for (file, text) in chart::TEMPLATES {
            let text = scope.render(file, text)?;
            if !text.trim().is_empty() {
                rendered.push(Rendered { file, text });
            }
        }
        Ok(rendered)
    }

    /// All of them as one text of several documents.
    pub fn text(&self) -> Result<String, InstallError> {
        let rendered = self.render()?;
        Ok(rendered.iter().map(|one| format!("---\n{}\n", one.text.trim())).collect())
    }

    /// The objects, those first that others refer to.
    pub fn objects(&self) -> Result<Vec<Object>, InstallError> {
        let mut objects = Vec::new();
        for one in self.render()? {
            objects.extend(read(one.file, &one.text, &Limits::default())?.objects);
        }
        objects.sort_by_key(|object| rank(&object.identity.kind));
        Ok(objects)
    }

    /// What a person reads afterwards.
    pub fn notes(&self) -> Result<String, InstallError> {
        Ok(self.scope()?.render("templates/NOTES.txt", chart::NOTES)?)
    }

    /// The Secret's name.
    pub fn token_secret_name(&self) -> String {
        match self.values.text("tokens.secret") {
            "" => format!("{}-tokens", self.name),
            own => own.to_owned(),
        }
    }

    /// Whether the Secret is ours to make.
    pub fn makes_tokens(&self) -> bool {
        self.values.text("tokens.secret").is_empty()
    }

    /// The Secret with these tokens; nothing where the values name one that somebody else makes.
    pub fn token_secret(&self, tokens: &Tokens) -> Option<Value> {
        if !self.makes_tokens() {
            return None;
        }
        let Tokens { admin, viewer, ingest } = tokens;
        Some(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {
                "name": self.token_secret_name(),
                "namespace": self.namespace,
                "labels": {
                    "app.kubernetes.io/name": "apm",
                    "app.kubernetes.io/instance": self.name,
                    "app.kubernetes.io/version": chart::version(),
                    "app.kubernetes.io/managed-by": SERVICE,
                    "app.kubernetes.io/part-of": "apm",
                },
            },
            "type": "Opaque",
            "stringData": {"tokens": format!("admin {admin}\nviewer {viewer}\ningest {ingest}\n"), "ingest": ingest},
        }))
    }

    /// By which all that it made can be found.
    pub fn selector(&self) -> String {
        format!(
            "app.kubernetes.io/part-of=apm,app.kubernetes.io/managed-by={SERVICE},app.kubernetes.io/instance={}",
            self.name
        )
    }

    /// Whether an object that the selector found is of this namespace's installation: those of the whole cluster have it at the end of their names.
    pub fn is_ours(&self, kind: &ChartKind, name: &str) -> bool {
        kind.is_namespaced || name.ends_with(&format!("-{}", self.namespace))
    }

    fn check_name(&self) -> Result<(), InstallError> {
        let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let name = self.name.as_bytes();
        let ends = name.first().is_some_and(|&b| letter(b)) && name.last().is_some_and(|&b| letter(b));
        let good = ends && name.len() <= NAME_MAX && name.iter().all(|&b| letter(b) || b == b'-');
        if good { Ok(()) } else { Err(InstallError::Name(self.name.clone())) }
    }

    fn scope(&self) -> Result<Scope, TemplateError> {
        let root = json!({
            "Values": self.values.json(),
            "Release": {"Name": self.name, "Namespace": self.namespace, "Service": SERVICE},
            "Chart": {"AppVersion": chart::version(), "Name": "apm"},
        });
        Scope::new(root, "templates/_names.tpl", chart::NAMES)
    }
}

/// What stands in the label `app.kubernetes.io/managed-by`; Helm writes its own name there.
pub const SERVICE: &str = "apm";

/// Tokens of an engine that is new: made by chance, by whoever has chance.
pub struct Tokens {
    pub admin: String,
    pub viewer: String,
    pub ingest: String,
}

/// The chart's files, by their paths in it.
pub fn chart_files() -> impl Iterator<Item = (&'static str, &'static str)> {
    chart::FILES.iter().chain(&chart::TEMPLATES).copied()
}

/// Its place among [`KINDS`].
fn rank(kind: &str) -> usize {
    KINDS.iter().position(|known| known.kind == kind).unwrap_or(KINDS.len())
}

/// The manifests as the checks want them.
pub fn manifests(install: &Install) -> Result<Manifests, InstallError> {
    let mut manifests = Manifests::default();
    for one in install.render()? {
        manifests.add(one.file, one.text, &Limits::default());
    }
    Ok(manifests)
}

#[cfg(test)]
mod tests;
