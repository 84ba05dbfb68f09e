//! A Dockerfile as a tree that loses nothing: items tile the file, every word keeps its place in it. Source of the format:
//! the Dockerfile reference of Docker's documentation. Does not know which Dockerfiles are good ones.

use std::ops::Range;

use base_explain::{Lines, Span};

/// An instruction by its keyword.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Add,
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    From,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Run,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
    /// No instruction of this name exists.
    Unknown,
}

/// All keywords, as they are usually written.
pub const KEYWORDS: &[(&str, Kind)] = &[
    ("ADD", Kind::Add),
    ("ARG", Kind::Arg),
    ("CMD", Kind::Cmd),
    ("COPY", Kind::Copy),
    ("ENTRYPOINT", Kind::Entrypoint),
    ("ENV", Kind::Env),
    ("EXPOSE", Kind::Expose),
    ("FROM", Kind::From),
    ("HEALTHCHECK", Kind::Healthcheck),
    ("LABEL", Kind::Label),
    ("MAINTAINER", Kind::Maintainer),
    ("ONBUILD", Kind::Onbuild),
    ("RUN", Kind::Run),
    ("SHELL", Kind::Shell),
    ("STOPSIGNAL", Kind::Stopsignal),
    ("USER", Kind::User),
    ("VOLUME", Kind::Volume),
    ("WORKDIR", Kind::Workdir),
];

impl Kind {
    pub fn of(keyword: &str) -> Kind {
        let found = KEYWORDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(keyword));
        found.map_or(Kind::Unknown, |(_, kind)| *kind)
    }

    pub fn name(self) -> &'static str {
        KEYWORDS.iter().find(|(_, kind)| *kind == self).map_or("?", |(name, _)| name)
    }

    /// Those whose arguments may be a JSON array.
    pub fn takes_json(self) -> bool {
        use Kind::*;
        matches!(self, Add | Cmd | Copy | Entrypoint | Run | Shell | Volume | Healthcheck)
    }
}

/// An instruction's text with continuation lines joined and comments left out, and the way back to the file.
#[derive(Debug, Clone, Default)]
pub struct Logical {
    pub text: String,
    /// Where a piece begins here, and where in the file.
    pieces: Vec<(usize, usize)>,
}

impl Logical {
    pub(crate) fn push(&mut self, piece: &str, source: usize) {
        if !piece.is_empty() {
            self.pieces.push((self.text.len(), source));
            self.text.push_str(piece);
        }
    }

    fn source(&self, at: usize) -> usize {
        let index = self.pieces.partition_point(|(start, _)| *start <= at);
        match index.checked_sub(1).and_then(|index| self.pieces.get(index)) {
            Some((start, source)) => source + (at - start),
            None => self.pieces.first().map_or(0, |(_, source)| *source),
        }
    }

    /// The file's bytes from the first to the last byte of a range; what was left out between them is inside.
    pub fn span(&self, range: Range<usize>) -> Span {
        if range.end <= range.start {
            let at = self.source(range.start);
            return Span::new(at, at);
        }
        Span::new(self.source(range.start), self.source(range.end - 1) + 1)
    }
}

/// A word, with and without its quotes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As written, continuation lines joined.
    pub raw: String,
    /// Quotes and escapes taken away; variables stay.
    pub value: String,
    pub span: Span,
    /// Its place in [`Logical::text`].
    pub range: Range<usize>,
}

/// `--name=value` before an instruction's arguments.
#[derive(Debug, Clone)]
pub struct Flag {
    pub name: String,
    pub value: Option<String>,
    pub span: Span,
}

impl Flag {
    /// `type` of `--mount=type=cache,target=/var/cache`.
    pub fn part(&self, key: &str) -> Option<&str> {
        let value = self.value.as_deref()?;
        value.split(',').find_map(|part| {
            let (name, value) = part.split_once('=')?;
            name.trim().eq_ignore_ascii_case(key).then_some(value)
        })
    }
}

/// `<<NAME` and the lines up to `NAME`.
#[derive(Debug, Clone)]
pub struct Heredoc {
    pub name: String,
    /// A quoted name: variables are not expanded.
    pub quoted: bool,
    /// `<<-`: leading tabs are taken away.
    pub strip_tabs: bool,
    pub opener: Span,
    pub body: Span,
    /// False when the file ends before the name.
    pub closed: bool,
}

/// One instruction.
#[derive(Debug, Clone)]
pub struct Instruction {
    pub kind: Kind,
    /// Without the end of its last line.
    pub span: Span,
    pub keyword: Word,
    pub logical: Logical,
    /// The file's escape character.
    pub escape: char,
    pub flags: Vec<Flag>,
    /// What follows keyword and flags, in [`Logical::text`].
    pub rest: Range<usize>,
    pub words: Vec<Word>,
    /// The exec form's words.
    pub exec: Option<Vec<Word>>,
    /// It opens with `[` as the exec form does, but is no JSON array of strings; docker takes it as a shell command.
    pub broken_exec: bool,
    pub heredocs: Vec<Heredoc>,
    pub empty_continuations: Vec<Span>,
    /// What ONBUILD will do.
    pub inner: Option<Box<Instruction>>,
}

impl Instruction {
    pub fn flag(&self, name: &str) -> Option<&Flag> {
        self.flags.iter().find(|flag| flag.name == name)
    }

    pub fn rest_text(&self) -> &str {
        self.logical.text.get(self.rest.clone()).unwrap_or("")
    }

    pub fn rest_span(&self) -> Span {
        self.logical.span(self.rest.clone())
    }

    /// Keyword to last argument, heredocs left out.
    pub fn head_span(&self) -> Span {
        self.logical.span(0..self.logical.text.trim_end().len())
    }

    /// `key=value` pairs of ENV, LABEL and ARG; `None` for a value that is not there.
    pub fn pairs(&self) -> Vec<(Word, Option<Word>)> {
        if self.is_legacy_pair() {
            let Some(key) = self.words.first() else { return Vec::new() };
            let value = self.words.get(1).map(|second| {
                let range = second.range.start..self.rest.end;
                let raw = self.logical.text.get(range.clone()).unwrap_or("").to_owned();
                Word { value: raw.clone(), raw, span: self.logical.span(range.clone()), range }
            });
            return vec![(key.clone(), value)];
        }
        self.words.iter().map(|word| self.pair(word)).collect()
    }

    /// `ENV key value` and `LABEL key value`.
    pub fn is_legacy_pair(&self) -> bool {
        matches!(self.kind, Kind::Env | Kind::Label) && self.words.first().is_some_and(|word| !word.raw.contains('='))
    }

    fn pair(&self, word: &Word) -> (Word, Option<Word>) {
        let Some(at) = word.raw.find('=') else { return (word.clone(), None) };
        let part = |from: usize, to: usize| {
            let range = word.range.start + from..word.range.start + to;
            let raw = word.raw.get(from..to).unwrap_or("").to_owned();
            let value = crate::words::unquote(&raw, self.escape);
            Word { value, raw, span: self.logical.span(range.clone()), range }
        };
        (part(0, at), Some(part(at + 1, word.raw.len())))
    }
}

/// A comment that changes how the file is read: `# syntax=`, `# escape=`, `# check=`.
#[derive(Debug, Clone)]
pub struct Directive {
    pub name: String,
    pub value: String,
    pub span: Span,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemKind {
    Blank,
    Comment,
    Directive,
    /// By its number in [`Dockerfile::instructions`].
    Instruction(usize),
}

/// A piece of the file. Items follow each other without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    pub kind: ItemKind,
    pub span: Span,
}

/// What is wrong with the form of the file; reading went on at the next instruction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub what: String,
    pub span: Span,
}

/// A whole file.
#[derive(Debug, Clone)]
pub struct Dockerfile<'a> {
    pub text: &'a str,
    pub lines: Lines,
    pub items: Vec<Item>,
    pub directives: Vec<Directive>,
    /// `\`, or the backtick where `# escape=` says so.
    pub escape: char,
    pub instructions: Vec<Instruction>,
    pub problems: Vec<Problem>,
}

impl Dockerfile<'_> {
    /// The file again, from its items; equal to what was read.
    pub fn print(&self) -> String {
        self.items.iter().map(|item| item.span.of(self.text)).collect()
    }

    /// Comments with their text after `#`.
    pub fn comments(&self) -> impl Iterator<Item = (Span, &str)> {
        let of_comment = |item: &Item| matches!(item.kind, ItemKind::Comment).then_some(item.span);
        self.items.iter().filter_map(of_comment).map(|span| (span, span.of(self.text).trim().trim_start_matches('#')))
    }
}
