//! The tokens of PromQL and the words in which errors name them. Knows nothing of their order.

use super::error::Span;
use super::text::quote;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Eof,
    /// The lexer stopped here.
    Error,
    Identifier,
    /// An identifier with a colon: only a metric can be named so.
    MetricIdentifier,
    Number,
    Duration,
    String,
    Punctuation,
    Operator,
    Aggregator,
    Keyword,
    /// `start`, `end`, `step`, `range`, `max_of`, `min_of`.
    Preprocessor,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Token<'q> {
    pub(crate) kind: Kind,
    /// As it stands in the query.
    pub(crate) text: &'q str,
    pub(crate) span: Span,
}

impl Token<'_> {
    /// Whether this is the punctuation, operator or keyword `word`, in any case of letters.
    pub(crate) fn is(&self, word: &str) -> bool {
        matches!(self.kind, Kind::Punctuation | Kind::Operator | Kind::Aggregator | Kind::Keyword | Kind::Preprocessor)
            && self.text.eq_ignore_ascii_case(word)
    }

    /// In the words of an error: `identifier "x"`, `<op:+>`, `end of input`.
    pub(crate) fn describe(&self) -> String {
        match self.kind {
            Kind::Eof => "end of input".to_owned(),
            Kind::Error => "text".to_owned(),
            Kind::Identifier => format!("identifier {}", quote(self.text)),
            Kind::MetricIdentifier => format!("metric identifier {}", quote(self.text)),
            Kind::Number => format!("number {}", shortened(self.text)),
            Kind::Duration => format!("duration {}", shortened(self.text)),
            Kind::String => format!("string {}", shortened(self.text)),
            Kind::Operator => format!("<op:{}>", self.text),
            Kind::Aggregator => format!("<aggr:{}>", self.text),
            Kind::Keyword => format!("<{}>", self.text),
            Kind::Punctuation | Kind::Preprocessor => shortened(self.text),
        }
    }
}

fn shortened(text: &str) -> String {
    if text.len() <= 10 {
        return quote(text);
    }
    let head: String = text.chars().take(10).collect();
    format!("{}...", quote(&head))
}

/// What a word outside of braces is; `None` for a plain identifier.
pub(crate) fn keyword(word: &str) -> Option<Kind> {
    Some(match word.to_ascii_lowercase().as_str() {
        "and" | "or" | "unless" | "atan2" => Kind::Operator,
        "sum" | "avg" | "count" | "min" | "max" | "group" | "stddev" | "stdvar" | "topk" | "bottomk"
        | "count_values" | "quantile" | "limitk" | "limit_ratio" => Kind::Aggregator,
        "offset" | "smoothed" | "anchored" | "by" | "without" | "on" | "ignoring" | "group_left" | "group_right"
        | "fill" | "fill_left" | "fill_right" | "bool" => Kind::Keyword,
        "start" | "end" | "step" | "range" | "max_of" | "min_of" => Kind::Preprocessor,
        "inf" | "nan" => Kind::Number,
        _ => return None,
    })
}
