//! Stages: what each is built from, which variables it sees, and whether it ships. Does not judge.

use crate::expand::{Scope, expand};
use crate::image::Image;
use crate::syntax::{Dockerfile, Instruction, Kind, Word};

/// What a stage is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// An earlier stage, by its number.
    Stage(usize),
    Scratch,
    Image(Image),
    /// It depends on an argument without a default.
    Unknown,
}

/// What becomes of a stage in the build of the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Its layers are the image's: the target, and the stages it is built from.
    Ships,
    /// Files are taken from it.
    Feeds,
    /// The target does not need it; BuildKit does not build it.
    Unused,
}

#[derive(Debug, Clone)]
pub struct Stage {
    pub index: usize,
    /// As written after AS.
    pub name: Option<Word>,
    /// The number of its FROM among the file's instructions.
    pub from: usize,
    /// One past its last instruction.
    pub end: usize,
    pub base: Base,
    pub role: Role,
    /// Variables at its end.
    pub scope: Scope,
}

/// The arguments before the first FROM, and the stages.
#[derive(Debug, Clone)]
pub struct Stages {
    pub global: Scope,
    pub list: Vec<Stage>,
    /// `--target` names no stage.
    pub unknown_target: bool,
}

/// Set by BuildKit for every stage that asks by ARG; in FROM without asking.
pub const PLATFORM_ARGUMENTS: &[&str] = &[
    "TARGETPLATFORM",
    "TARGETOS",
    "TARGETARCH",
    "TARGETVARIANT",
    "BUILDPLATFORM",
    "BUILDOS",
    "BUILDARCH",
    "BUILDVARIANT",
    "TARGETSTAGE",
];

/// Known to every RUN without ARG.
pub(crate) const PREDEFINED_ARGUMENTS: &[&str] = &[
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "FTP_PROXY",
    "ftp_proxy",
    "NO_PROXY",
    "no_proxy",
    "ALL_PROXY",
    "all_proxy",
];

impl Stages {
    pub fn of(file: &Dockerfile<'_>, target: Option<&str>) -> Stages {
        let mut global = Scope::default();
        for name in PLATFORM_ARGUMENTS {
            global.set(name, None);
        }
        let mut list: Vec<Stage> = Vec::new();
        for (at, instruction) in file.instructions.iter().enumerate() {
            if instruction.kind == Kind::From {
                if let Some(last) = list.last_mut() {
                    last.end = at;
                }
                let stage = stage(instruction, at, file, &global, &list);
                list.push(stage);
                continue;
            }
            match list.last_mut() {
                Some(stage) => {
                    stage.end = at + 1;
                    declare(instruction, &mut stage.scope, Some(&global), file.escape);
                }
                None => declare(instruction, &mut global, None, file.escape),
            }
        }
        let wanted = target.and_then(|target| find(&list, target));
        let unknown_target = target.is_some() && wanted.is_none();
        let last = list.len().checked_sub(1);
        if let Some(target) = wanted.or(last) {
            assign_roles(&mut list, target, file);
        }
        Stages { global, list, unknown_target }
    }

    /// The stage an instruction belongs to.
    pub fn at(&self, instruction: usize) -> Option<&Stage> {
        self.list.iter().find(|stage| stage.from <= instruction && instruction < stage.end)
    }

    /// The stage that becomes the image.
    pub fn target(&self) -> Option<&Stage> {
        self.list.iter().rev().find(|stage| stage.role == Role::Ships)
    }

    /// The image a stage is built from in the end, through the stages between.
    pub fn root(&self, stage: &Stage) -> Base {
        let mut base = stage.base.clone();
        while let Base::Stage(index) = base {
            match self.list.get(index) {
                Some(stage) => base = stage.base.clone(),
                None => return Base::Unknown,
            }
        }
        base
    }

    /// A stage and those it is built from, itself first.
    pub fn chain<'a>(&'a self, stage: &'a Stage) -> impl Iterator<Item = &'a Stage> {
        std::iter::successors(Some(stage), |stage| match stage.base {
            Base::Stage(index) => self.list.get(index),
            _ => None,
        })
    }
}

/// A stage by its name or number; names are compared without regard to case, the latest wins.
pub(crate) fn find(stages: &[Stage], name: &str) -> Option<usize> {
    let named = |stage: &&Stage| stage.name.as_ref().is_some_and(|word| word.value.eq_ignore_ascii_case(name));
    if let Some(stage) = stages.iter().rev().find(named) {
        return Some(stage.index);
    }
    name.parse::<usize>().ok().filter(|index| *index < stages.len())
}

fn stage(from: &Instruction, at: usize, file: &Dockerfile<'_>, global: &Scope, before: &[Stage]) -> Stage {
    let name = match from.words.get(1) {
        Some(word) if word.raw.eq_ignore_ascii_case("as") => from.words.get(2).cloned(),
        _ => None,
    };
    let base = match from.words.first() {
        None => Base::Unknown,
        Some(word) => match expand(&word.raw, global, file.escape).text {
            None => Base::Unknown,
            Some(text) if text.is_empty() => Base::Unknown,
            Some(text) if text.eq_ignore_ascii_case("scratch") => Base::Scratch,
            Some(text) => match before
                .iter()
                .rev()
                .find(|stage| stage.name.as_ref().is_some_and(|word| word.value.eq_ignore_ascii_case(&text)))
            {
                Some(stage) => Base::Stage(stage.index),
                None => Base::Image(Image::parse(&text)),
            },
        },
    };
    let mut scope = Scope::default();
    // What an ancestor set by ENV is inherited; what it declared by ARG as well, as BuildKit does.
    if let Base::Stage(index) = base
        && let Some(parent) = before.get(index)
    {
        scope = parent.scope.clone();
    }
    Stage { index: before.len(), name, from: at, end: at + 1, base, role: Role::Unused, scope }
}

/// Adds what ARG and ENV declare.
pub(crate) fn declare(instruction: &Instruction, scope: &mut Scope, global: Option<&Scope>, escape: char) {
    match instruction.kind {
        Kind::Arg => {
            for (key, value) in instruction.pairs() {
                // ENV always wins over ARG of the same name.
                let inherited = global.and_then(|global| global.get(&key.value).cloned());
                let value = match value {
                    Some(word) => expand(&word.raw, scope, escape).text,
                    None => inherited.flatten(),
                };
                scope.set(&key.value, value);
            }
        }
        Kind::Env => {
            // All values of one ENV see the variables as they were before it.
            let pairs = instruction.pairs().into_iter();
            let values: Vec<_> = pairs
                .map(|(key, value)| (key.value, value.and_then(|word| expand(&word.raw, scope, escape).text)))
                .collect();
            for (name, value) in values {
                scope.set(&name, value);
            }
        }
        _ => {}
    }
}

fn assign_roles(list: &mut [Stage], target: usize, file: &Dockerfile<'_>) {
    let mut open = vec![(target, Role::Ships)];
    while let Some((index, role)) = open.pop() {
        let Some(stage) = list.get(index) else { continue };
        if stage.role == Role::Ships || stage.role == role {
            continue;
        }
        let mut next = Vec::new();
        let instructions = file.instructions.get(stage.from..stage.end).unwrap_or(&[]);
        let visible = list.get(..index).unwrap_or(&[]);
        match (&stage.base, instructions.first().and_then(|from| from.words.first())) {
            (Base::Stage(parent), _) => next.push((*parent, role)),
            (Base::Unknown, Some(word)) => next.extend(candidates(visible, &word.raw).map(|stage| (stage, role))),
            _ => {}
        }
        for name in instructions.iter().flat_map(sources) {
            match find(visible, &name) {
                Some(from) => next.push((from, Role::Feeds)),
                None => next.extend(candidates(visible, &name).map(|stage| (stage, Role::Feeds))),
            }
        }
        if let Some(stage) = list.get_mut(index) {
            stage.role = role;
        }
        open.extend(next);
    }
}

/// The stages that a name with variables may mean: `base-${TARGETARCH}` may be `base-amd64`.
pub(crate) fn candidates(stages: &[Stage], raw: &str) -> impl Iterator<Item = usize> {
    let uses = expand(raw, &Scope::default(), '\\').uses;
    let mut pattern = String::new();
    let mut at = 0;
    for one in uses.iter().filter(|one| !one.has_default) {
        pattern.push_str(raw.get(at..one.start).unwrap_or(""));
        pattern.push('*');
        at = one.end;
    }
    pattern.push_str(raw.get(at..).unwrap_or(""));
    let pattern = if at == 0 { String::new() } else { pattern.to_lowercase() };
    let fits = move |stage: &&Stage| {
        stage.name.as_ref().is_some_and(|word| crate::expand::glob(&pattern, &word.value.to_lowercase()))
    };
    stages.iter().filter(fits).map(|stage| stage.index)
}

/// The names an instruction takes files from: `--from=`, and `from=` of mounts.
pub(crate) fn sources(instruction: &Instruction) -> Vec<String> {
    let mut names = Vec::new();
    for flag in &instruction.flags {
        match flag.name.as_str() {
            "from" => names.extend(flag.value.clone()),
            "mount" => names.extend(flag.part("from").map(str::to_owned)),
            _ => {}
        }
    }
    names
}
