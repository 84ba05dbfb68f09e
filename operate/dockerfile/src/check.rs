//! A whole check: text in, findings out, those that a comment or an option ignores taken away.

use base_explain::Severity;

use crate::finding::{FINDINGS_MAX, Finding, Findings};
use crate::pragma;
use crate::rule::{Rule, named};
use crate::rules::{self, Context};
use crate::stage::Stages;
use crate::syntax::Dockerfile;

/// Larger files are refused: the largest ones that people write have some dozens of kilobytes.
pub const FILE_BYTES_MAX: usize = 1 << 20;
pub const INSTRUCTIONS_MAX: usize = 2_000;
pub const STAGES_MAX: usize = 200;

/// The form a label's value must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LabelForm {
    Text,
    Url,
    /// RFC 3339.
    Time,
    /// SPDX.
    Licence,
    /// A whole hash.
    Commit,
    /// Semantic Versioning.
    Version,
    Email,
}

/// A label as the project wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelRule {
    pub key: String,
    pub form: LabelForm,
    pub required: bool,
}

/// What the check is told besides the file.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The stage that becomes the image; the last one by default.
    pub target: Option<String>,
    /// Rules by id, name, or hadolint's or BuildKit's name.
    pub ignore: Vec<String>,
    /// Registries (`registry.example.org`, `*.example.org`, `docker.io/library`); empty allows all.
    pub allowed_registries: Vec<String>,
    /// The `.dockerignore`: `None` where nobody looked, `Some(None)` where there is none.
    pub dockerignore: Option<Option<String>>,
    /// Names at the top of the build context, for the language.
    pub context_files: Vec<String>,
    /// `--build-context` names that COPY may take files from.
    pub named_contexts: Vec<String>,
    pub labels: Vec<LabelRule>,
    /// Labels that are not in `labels` are findings.
    pub strict_labels: bool,
}

/// Why a file was not checked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("the file has {bytes} bytes, more than the {FILE_BYTES_MAX} that are checked")]
    TooLarge { bytes: usize },
    #[error("the file has {count} instructions, more than the {INSTRUCTIONS_MAX} that are checked")]
    TooManyInstructions { count: usize },
    #[error("the file has {count} stages, more than the {STAGES_MAX} that are checked")]
    TooManyStages { count: usize },
    #[error("the file is no UTF-8 text: byte {offset} is not")]
    NotText { offset: usize },
}

/// What was found, in the order of the file.
#[derive(Debug, Clone)]
pub struct Checked {
    pub findings: Vec<Finding>,
    /// Found, and ignored by a comment or an option.
    pub ignored: usize,
    /// Found, and not listed: more than [`FINDINGS_MAX`].
    pub beyond: usize,
}

impl Checked {
    /// Whether anything is a warning or worse.
    pub fn fails(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity >= Severity::Warning)
    }
}

/// Checks the bytes of a file.
pub fn check_bytes(bytes: &[u8], options: &Options) -> Result<Checked, Refused> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Refused::TooLarge { bytes: bytes.len() });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| Refused::NotText { offset: error.valid_up_to() })?;
    check(text, options)
}

/// Checks a Dockerfile. The same text and options give the same answer.
pub fn check(text: &str, options: &Options) -> Result<Checked, Refused> {
    if text.len() > FILE_BYTES_MAX {
        return Err(Refused::TooLarge { bytes: text.len() });
    }
    let file = Dockerfile::parse(text);
    if file.instructions.len() > INSTRUCTIONS_MAX {
        return Err(Refused::TooManyInstructions { count: file.instructions.len() });
    }
    let count = file.instructions.iter().filter(|it| it.kind == crate::syntax::Kind::From).count();
    if count > STAGES_MAX {
        return Err(Refused::TooManyStages { count });
    }
    let stages = Stages::of(&file, options.target.as_deref());
    let mut found = Findings::default();
    let ignores = pragma::read(&file, &mut found);
    let context = Context::new(&file, &stages, options);
    rules::all(&context, &mut found);
    let off: Vec<&'static Rule> = options.ignore.iter().flat_map(|name| named(name)).collect();
    let (mut list, mut beyond) = found.into_list();
    let all = list.len();
    list.retain(|finding| {
        let by_option = off.iter().any(|rule| rule.id == finding.rule.id);
        !by_option && !ignores.iter().any(|ignore| ignore.covers(finding))
    });
    let ignored = all - list.len();
    list.sort_by(|a, b| (a.span.start, a.rule.id, a.span.end).cmp(&(b.span.start, b.rule.id, b.span.end)));
    list.dedup_by(|a, b| a.span == b.span && a.rule.id == b.rule.id && a.what == b.what);
    beyond += list.len().saturating_sub(FINDINGS_MAX);
    list.truncate(FINDINGS_MAX);
    for finding in &mut list {
        finding.at = file.lines.point(text, finding.span.start);
    }
    Ok(Checked { findings: list, ignored, beyond })
}
