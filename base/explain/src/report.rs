//! The report itself, as data.

use std::error::Error;

use serde::Serialize;

/// Where in a text something is wrong. Lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Place {
    /// A file's path, or what the text is called: `--memory`, `APM_MEMORY`, `query`.
    pub origin: String,
    pub line: usize,
    pub column: usize,
    /// The whole text, so that the line can be shown; not sent over the API.
    #[serde(skip)]
    pub text: Option<String>,
    /// How many characters are wrong, at least 1.
    pub length: usize,
}

impl Place {
    pub fn new(origin: impl Into<String>, line: usize, column: usize) -> Self {
        Place { origin: origin.into(), line, column, text: None, length: 1 }
    }

    pub fn in_text(mut self, text: impl Into<String>, length: usize) -> Self {
        self.text = Some(text.into());
        self.length = length.max(1);
        self
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.line, self.column)
    }
}

/// One error as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What happened: one sentence, lower case, no full stop.
    pub message: String,
    /// Why, outermost first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub causes: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Report {
    pub fn new(message: impl Into<String>) -> Self {
        Report { message: message.into(), causes: Vec::new(), place: None, hint: None }
    }

    /// The error's sentence and those of its chain of sources; a cause that only repeats is left out.
    pub fn of(error: &(dyn Error + 'static)) -> Self {
        let mut report = Report::new(error.to_string());
        let mut cause = error.source();
        while let Some(error) = cause {
            let text = error.to_string();
            let last = report.causes.last().unwrap_or(&report.message);
            if *last != text {
                report.causes.push(text);
            }
            cause = error.source();
        }
        report
    }

    pub fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// On one line, for a log or for an API that has only a string: `message: cause (at file:1:2); hint`.
    pub fn one_line(&self) -> String {
        let mut line = self.message.clone();
        for cause in &self.causes {
            line.push_str(": ");
            line.push_str(cause);
        }
        if let Some(place) = &self.place {
            line.push_str(&format!(" (at {place})"));
        }
        if let Some(hint) = &self.hint {
            line.push_str("; ");
            line.push_str(hint);
        }
        line.replace('\n', " ")
    }

    /// For a terminal, with the line of the file underlined where there is one; ends in a newline.
    pub fn terminal(&self, color: bool) -> String {
        crate::terminal::render(self, color)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.one_line())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn a_chain_of_errors_tells_each_cause_once() {
        let chain = ["cannot open the store", "wal/7", "wal/7", "permission denied"];
        let of = |inner: Option<Layer>, text| Some(Layer { text, source: inner.map(Box::new) });
        let error = chain.into_iter().rev().fold(None, of).unwrap();
        let report = Report::of(&error);
        assert_eq!(report.causes, ["wal/7", "permission denied"]);
        assert_eq!(report.to_string(), "cannot open the store: wal/7: permission denied");
    }
}
