//! Which lines of a container belong together: by a pattern with which each record starts, or by what stack traces of known languages look like. Pure: it
//! sees one line after another and keeps nothing.
//!
//! How traces look: the runtimes' own documents (Java's `Throwable.printStackTrace`, Python's `traceback`, Go's `runtime/debug`, V8's stack trace API).

use std::sync::LazyLock;

use memchr::memmem::Finder;
use regex::bytes::{Regex, RegexBuilder};
use serde::Deserialize;

/// Of a compiled pattern. What a pod asks for must not cost the node.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// What is done with the lines of one container.
#[derive(Clone, Debug, Default)]
pub(super) enum Rule {
    /// Stack traces are found by themselves.
    #[default]
    Auto,
    /// Each line for itself.
    Off,
    /// What matches starts a record, all else goes on with it.
    Start(Regex),
}

/// A line of the settings: for which containers, and what. What is not given is any.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a map with `start`, and of `namespace`, `pod` and `container` what it is for"
)]
pub struct MultilineRule {
    #[serde(default)]
    pub namespace: Option<String>,
    /// How the pod's name begins.
    #[serde(default)]
    pub pod: Option<String>,
    #[serde(default)]
    pub container: Option<String>,
    /// `auto`, `off`, or the pattern with which a record starts.
    #[serde(deserialize_with = "first_line")]
    pub start: String,
}

/// The annotation for all containers of a pod; with `.NAME` behind it for one.
pub const MULTILINE: &str = "apm.dev/logs-multiline";

fn first_line<'de, D: serde::Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    Rule::of(&text).map_err(serde::de::Error::custom)?;
    Ok(text)
}

impl MultilineRule {
    pub(super) fn is_for(&self, namespace: &str, pod: &str, container: &str) -> bool {
        self.namespace.as_ref().is_none_or(|own| own == namespace)
            && self.pod.as_ref().is_none_or(|own| pod.starts_with(own.as_str()))
            && self.container.as_ref().is_none_or(|own| own == container)
    }
}

impl Rule {
    pub(super) fn of(text: &str) -> Result<Rule, String> {
        match text {
            "auto" => Ok(Rule::Auto),
            "off" => Ok(Rule::Off),
            pattern => {
                let built = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES_MAX).build();
                built.map(Rule::Start).map_err(|error| format!("`{pattern}` is no pattern of a first line: {error}"))
            }
        }
    }

    /// What the pod asks for, else what the settings say.
    pub(super) fn chosen<'r>(asked: Option<&'r str>, settings: impl Iterator<Item = &'r str>) -> Result<Rule, String> {
        let mut texts = asked.into_iter().chain(settings);
        texts.next().map_or(Ok(Rule::Auto), Rule::of)
    }

    /// What a line is behind a record in this state, or behind none.
    pub(super) fn judge(&self, open: Option<State>, line: &[u8]) -> Judged {
        match self {
            Rule::Off => Judged::Alone,
            Rule::Start(pattern) if pattern.is_match(line) => Judged::Begins(State::Open),
            Rule::Start(_) if open.is_some() => Judged::GoesOn(State::Open),
            Rule::Start(_) => Judged::Begins(State::Open),
            Rule::Auto => match open.and_then(|open| open.goes_on(line)) {
                Some(state) => Judged::GoesOn(state),
                None => State::begun_by(line).map_or(Judged::Alone, Judged::Begins),
            },
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judged {
    Alone,
    Begins(State),
    GoesOn(State),
}

/// Where in a record we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Until the next start.
    Open,
    /// Behind a line that names an exception of Java or JavaScript.
    Thrown,
    /// Behind a frame of it.
    Frame,
    /// Behind `Traceback …` and its indented lines.
    Traceback,
    /// Behind the line that names what Python raised: another may follow.
    Raised,
    /// Behind Go's `panic: …`.
    Panic,
    /// Behind a `goroutine …` and its frames.
    Goroutine,
}

static ERROR: LazyLock<[Finder<'static>; 3]> =
    LazyLock::new(|| ["Exception", "Error", "Throwable"].map(|word| Finder::new(word.as_bytes())));
static PANIC: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"panic: "));

impl State {
    fn begun_by(line: &[u8]) -> Option<State> {
        if line.starts_with(b"Traceback (most recent call last):") {
            return Some(State::Traceback);
        }
        let panics = PANIC.find(line).is_some_and(|at| at == 0 || !line[at - 1].is_ascii_alphanumeric());
        if panics || line.starts_with(b"fatal error: ") {
            return Some(State::Panic);
        }
        if line.starts_with(b"goroutine ") && line.ends_with(b"]:") {
            return Some(State::Goroutine);
        }
        names_an_exception(line).then_some(State::Thrown)
    }

    /// The state behind `line` if it belongs to the record.
    fn goes_on(self, line: &[u8]) -> Option<State> {
        let text = line.trim_ascii_start();
        let indented = text.len() < line.len();
        match self {
            State::Open => None,
            State::Thrown | State::Frame => {
                let more = text.starts_with(b"... ") && text[4..].first().is_some_and(u8::is_ascii_digit);
                if text.starts_with(b"Caused by:") || text.starts_with(b"Suppressed:") {
                    Some(State::Thrown)
                } else if indented && (text.starts_with(b"at ") || more || text.starts_with(b"--- End of ")) {
                    Some(State::Frame)
                } else {
                    // Messages of several lines are not told apart from what others say, but for these two.
                    let names = text.is_empty() || text.starts_with(b"nested exception is:");
                    (self == State::Thrown && names).then_some(State::Thrown)
                }
            }
            State::Traceback if indented => Some(State::Traceback),
            // The last line of a traceback names the exception.
            State::Traceback => (!text.is_empty()).then_some(State::Raised),
            State::Raised if text.is_empty() => Some(State::Raised),
            State::Raised => {
                let chained = text.starts_with(b"During handling of the above exception")
                    || text.starts_with(b"The above exception was the direct cause");
                if text.starts_with(b"Traceback (most recent call last):") {
                    Some(State::Traceback)
                } else {
                    chained.then_some(State::Raised)
                }
            }
            State::Panic if line.starts_with(b"goroutine ") => Some(State::Goroutine),
            State::Panic => {
                let signal = line.starts_with(b"[signal ") || line.starts_with(b"panic: ");
                (line.is_empty() || signal || line[0] == b'\t').then_some(State::Panic)
            }
            State::Goroutine => {
                // `main.(*cart).add(0xc000, 0x1)`, and below it the indented place.
                let call = line.ends_with(b")") && line.contains(&b'(') && !indented && line.contains(&b'.');
                let other = [&b"goroutine "[..], b"created by ", b"exit status ", b"...additional frames elided..."];
                let known = line.is_empty() || line[0] == b'\t' || other.iter().any(|start| line.starts_with(start));
                (known || call || line == b"panic(...)").then_some(State::Goroutine)
            }
        }
    }
}

/// `java.io.IOException: gone`, `TypeError: x is not a function`, `Exception in thread "main" java.lang.Error`.
fn names_an_exception(line: &[u8]) -> bool {
    let thread = line.starts_with(b"Exception in thread ");
    thread
        || ERROR.iter().any(|word| {
            let mut ends = word.find_iter(line).map(|at| at + word.needle().len());
            ends.any(|end| line.get(end).is_none_or(|next| *next == b':' || *next == b'\r'))
        })
}
