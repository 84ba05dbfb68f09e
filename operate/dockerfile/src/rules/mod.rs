//! The rules, a file an area. Each looks at the whole file and adds what it finds; none knows pragmas, output or another rule.

mod apm;
mod base;
mod files;
mod form;
mod labels;
mod packages;
mod runtime;
mod scripts;
mod security;
mod variables;

pub use security::is_secret_name;

use crate::check::Options;
use crate::finding::Findings;
use crate::ignorefile::IgnoreFile;
use crate::shell::{self, Command};
use crate::stage::{Role, Stage, Stages};
use crate::syntax::{Dockerfile, Instruction, Kind};

/// What every rule may see.
pub(crate) struct Context<'a> {
    pub(crate) file: &'a Dockerfile<'a>,
    pub(crate) stages: &'a Stages,
    pub(crate) options: &'a Options,
    pub(crate) ignored: Option<IgnoreFile>,
    pub(crate) steps: Vec<Step<'a>>,
}

/// An instruction with its surroundings.
pub(crate) struct Step<'a> {
    /// Its number in the file.
    pub(crate) at: usize,
    /// The instruction; for ONBUILD the one it triggers.
    pub(crate) it: &'a Instruction,
    pub(crate) stage: Option<&'a Stage>,
    /// Of RUN, and of CMD, ENTRYPOINT and HEALTHCHECK.
    pub(crate) commands: Vec<Command>,
    /// It stands behind ONBUILD.
    pub(crate) triggered: bool,
}

impl Step<'_> {
    /// Its layer is in the image.
    pub(crate) fn ships(&self) -> bool {
        self.stage.is_some_and(|stage| stage.role == Role::Ships)
    }

    /// It is built at all.
    pub(crate) fn is_built(&self) -> bool {
        self.stage.is_none_or(|stage| stage.role != Role::Unused)
    }

    pub(crate) fn is(&self, kind: Kind) -> bool {
        self.it.kind == kind
    }

    /// A cache or tmpfs is mounted at a folder, or above or below it.
    pub(crate) fn mounts(&self, folder: &str) -> bool {
        self.mounted().any(|target| target.starts_with(folder) || folder.starts_with(target))
    }

    /// A cache or tmpfs is mounted at a path with this in its name.
    pub(crate) fn mounts_named(&self, part: &str) -> bool {
        self.mounted().any(|target| target.contains(part))
    }

    fn mounted(&self) -> impl Iterator<Item = &str> {
        let mounts = self.it.flags.iter().filter(|flag| flag.name == "mount");
        mounts
            .filter(|flag| matches!(flag.part("type"), Some("cache" | "tmpfs")))
            .filter_map(|flag| flag.part("target").or(flag.part("dst")).or(flag.part("destination")))
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(file: &'a Dockerfile<'a>, stages: &'a Stages, options: &'a Options) -> Self {
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(file.instructions.len());
        let mut stage = stages.list.iter();
        let mut current: Option<&Stage> = None;
        for (at, outer) in file.instructions.iter().enumerate() {
            if outer.kind == Kind::From {
                current = stage.next();
            }
            let it = outer.inner.as_deref().unwrap_or(outer);
            let commands = match it.kind {
                Kind::Run | Kind::Cmd | Kind::Entrypoint | Kind::Healthcheck => shell::commands(it, file.text),
                _ => Vec::new(),
            };
            steps.push(Step { at, it, stage: current, commands, triggered: outer.inner.is_some() });
        }
        let ignored = options.dockerignore.as_ref().and_then(|text| text.as_deref()).map(IgnoreFile::parse);
        Context { file, stages, options, ignored, steps }
    }

    /// The RUN steps that are built.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Step<'a>> {
        self.steps.iter().filter(|step| step.is(Kind::Run) && step.is_built())
    }

    /// The steps of a stage.
    pub(crate) fn of(&self, stage: &Stage) -> &[Step<'a>] {
        self.steps.get(stage.from..stage.end).unwrap_or(&[])
    }

    /// The steps whose layers make the image, in order, base stages first.
    pub(crate) fn shipped(&self) -> Vec<&Step<'a>> {
        let Some(target) = self.stages.target() else { return Vec::new() };
        let mut chain: Vec<&Stage> = self.stages.chain(target).collect();
        chain.reverse();
        chain.into_iter().flat_map(|stage| self.of(stage)).collect()
    }

    /// The last instruction of a kind that counts for the image.
    pub(crate) fn last(&self, kind: Kind) -> Option<&Step<'a>> {
        self.shipped().into_iter().rev().find(|step| step.is(kind) && !step.triggered)
    }
}

pub(crate) fn all(context: &Context<'_>, found: &mut Findings) {
    for rules in [
        form::check,
        base::check,
        files::check,
        security::check,
        packages::check,
        scripts::check,
        variables::check,
        runtime::check,
        labels::check,
        apm::check,
    ] {
        rules(context, found);
    }
}
