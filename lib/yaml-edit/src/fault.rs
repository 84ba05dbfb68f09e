//! What is wrong with a text that could not be read, with its place. Knows no file name: the caller has it.

use saphyr_parser::ScanError;

/// Why a text was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// More bytes than [`crate::Limits::bytes_max`].
    TooLarge,
    /// Nested deeper than [`crate::Limits::depth_max`].
    TooDeep,
    /// Aliases copy more nodes than [`crate::Limits::copies_max`].
    Aliases,
    /// A key stands twice in one map.
    Duplicate,
    /// A tab where only spaces may stand.
    Tab,
    /// The text ends inside something that was opened.
    Truncated,
    /// A key that is no plain text, or is empty.
    Key,
    /// Anything else that is not YAML.
    Syntax,
}

/// One refusal: what, where (line and column count from 1, columns in characters) and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct Fault {
    pub kind: FaultKind,
    pub line: usize,
    pub column: usize,
    pub message: String,
    /// What to do; a half-sentence.
    pub hint: &'static str,
    /// The first of two places, where there are two.
    pub other: Option<(usize, usize)>,
}

impl Fault {
    pub(crate) fn new(kind: FaultKind, (line, column): (usize, usize), message: String, hint: &'static str) -> Self {
        Fault { kind, line, column, message, hint, other: None }
    }

    /// The parser's words in ours: tabs and missing ends are by far the commonest causes, and its message names neither plainly.
    pub(crate) fn scan(text: &str, error: &ScanError) -> Self {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        if let Some((line, column)) = tab_near(text, line) {
            let message = "a tab in the indentation; YAML takes spaces only".to_owned();
            return Fault::new(FaultKind::Tab, (line, column), message, "replace the tab by spaces");
        }
        let info = error.info();
        let tail = text.char_indices().nth(error.marker().index()).map_or("", |(at, _)| text.get(at..).unwrap_or(""));
        if tail.trim().is_empty() || info.contains("end of stream") || info.contains("eof") {
            let message = format!("the text ends before this is complete: {info}");
            let hint = "is the file truncated, or a bracket or quote left open?";
            return Fault::new(FaultKind::Truncated, (line, column), message, hint);
        }
        let hint = "check the indentation, brackets and quotes here and on the line before";
        Fault::new(FaultKind::Syntax, (line, column), format!("this is not YAML: {info}"), hint)
    }
}

/// A tab before the first word of the line, or of the one before (where the parser notices late).
fn tab_near(text: &str, line: usize) -> Option<(usize, usize)> {
    let lines: Vec<(usize, &str)> = text.lines().enumerate().skip(line.saturating_sub(2)).take(3).collect();
    let wanted = [line, line + 1, line.saturating_sub(1)];
    wanted.into_iter().find_map(|wanted| {
        let (at, text) = lines.iter().find(|(at, _)| at + 1 == wanted)?;
        let tab = text.chars().position(|c| c == '\t')?;
        let before: String = text.chars().take(tab).collect();
        before.trim_matches([' ', '-', ':']).is_empty().then_some((at + 1, tab + 1))
    })
}
