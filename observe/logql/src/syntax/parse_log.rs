//! Selectors, stages and ranges.

use base_signal::{MatchOp, Matcher, Pattern};

use super::lex::Token;
use super::parse::{LogRange, Parser, Result};
use super::{
    Conversion, Extract, FilterText, FormatValue, LineFilter, LineOp, LogExpr, ParseError, Pick, Selector, Span, Stage,
    StageKind, Unwrap,
};

const LINE_SIGNS: [(&str, LineOp); 6] = [
    ("|=", LineOp::Contains),
    ("!=", LineOp::NotContains),
    ("|~", LineOp::Regex),
    ("!~", LineOp::NotRegex),
    ("|>", LineOp::Pattern),
    ("!>", LineOp::NotPattern),
];

/// Stages that may stand without anything after them.
pub(super) const BARE_STAGES: [&str; 4] = ["json", "logfmt", "unpack", "decolorize"];

const MATCH_SIGNS: [(&str, MatchOp); 4] =
    [("=", MatchOp::Equal), ("!=", MatchOp::NotEqual), ("=~", MatchOp::Regex), ("!~", MatchOp::NotRegex)];

impl Parser<'_> {
    pub(super) fn log_expr(&mut self) -> Result<LogExpr> {
        let start = self.span();
        let selector = self.selector()?;
        let mut stages = Vec::new();
        while let Some(stage) = self.stage()? {
            stages.push(stage);
        }
        Ok(LogExpr { span: start.to(self.last()), selector, stages })
    }

    /// `{…} | stages [5m] offset 1h | more | unwrap x`, or the same in brackets.
    pub(super) fn log_range(&mut self) -> Result<LogRange> {
        let start = self.span();
        if self.take_sign("(") {
            let mut inner = self.deeper(Self::log_range_open)?;
            self.expect(")")?;
            let after = self.range_and_offset()?;
            inner.2 = inner.2.or(after);
            return self.close_range(start, inner);
        }
        let open = self.log_range_open()?;
        self.close_range(start, open)
    }

    #[expect(clippy::type_complexity, reason = "selector with stages, unwrap, (range, offset): passed on at once")]
    fn log_range_open(&mut self) -> Result<(LogExpr, Option<Unwrap>, Option<(i64, i64)>)> {
        let start = self.span();
        let selector = self.selector()?;
        let (mut stages, mut unwrap, mut range) = (Vec::new(), None, None);
        loop {
            if self.is_sign("[") {
                if range.is_some() {
                    return Err(self.unexpected(&[")"]));
                }
                range = self.range_and_offset()?;
            } else if self.is_sign("|") && matches!(self.peek_after(), Token::Ident(w) if w == "unwrap") {
                if unwrap.is_some() {
                    return Err(self.unexpected(&[")"]));
                }
                unwrap = Some(self.unwrap()?);
            } else if let Some(stage) = self.stage()? {
                match (&mut unwrap, stage.kind) {
                    (None, kind) => stages.push(Stage { span: stage.span, kind }),
                    (Some(unwrap), StageKind::Label(filter)) => unwrap.filters.push(filter),
                    (Some(_), _) => {
                        let message = "only label filters may follow unwrap";
                        return Err(ParseError::at(self.text, stage.span, message));
                    }
                }
            } else {
                break;
            }
        }
        Ok((LogExpr { span: start.to(self.last()), selector, stages }, unwrap, range))
    }

    fn close_range(&self, start: Span, open: (LogExpr, Option<Unwrap>, Option<(i64, i64)>)) -> Result<LogRange> {
        let (mut log, unwrap, range) = open;
        let Some((range_ns, offset_ns)) = range else { return Err(self.unexpected(&["RANGE"])) };
        log.span = start.to(self.last());
        Ok(LogRange { log, range_ns, offset_ns, unwrap })
    }

    fn range_and_offset(&mut self) -> Result<Option<(i64, i64)>> {
        if !self.take_sign("[") {
            return Ok(None);
        }
        let range_ns = self.duration()?;
        if range_ns <= 0 {
            return Err(ParseError::at(self.text, self.last(), "duration must be greater than 0"));
        }
        self.expect("]")?;
        let mut offset_ns = 0;
        if self.take_word("offset") {
            let negative = self.take_sign("-");
            let ns = self.duration()?;
            offset_ns = if negative { -ns } else { ns };
        }
        Ok(Some((range_ns, offset_ns)))
    }

    fn duration(&mut self) -> Result<i64> {
        match *self.peek() {
            Token::DurationNs(ns) => {
                self.take();
                Ok(ns)
            }
            _ => Err(self.unexpected(&["DURATION"])),
        }
    }

    fn selector(&mut self) -> Result<Selector> {
        let start = self.span();
        self.expect("{")?;
        let (mut matchers, mut matcher_spans) = (Vec::new(), Vec::new());
        if !self.is_sign("}") {
            loop {
                let from = self.span();
                matchers.push(self.matcher()?);
                matcher_spans.push(from.to(self.last()));
                if self.is_sign("}") {
                    break;
                }
                if !self.take_sign(",") {
                    return Err(self.unexpected(&["}", ","]));
                }
            }
        }
        self.expect("}")?;
        Ok(Selector { span: start.to(self.last()), matchers, matcher_spans })
    }

    fn matcher(&mut self) -> Result<Matcher> {
        let name = self.identifier()?;
        let op = match self.match_op() {
            Some(op) => op,
            None => return Err(self.unexpected(&["=", "=~", "!~", "!="])),
        };
        self.take();
        let value = self.string()?;
        self.new_matcher(name, op, value)
    }

    pub(super) fn new_matcher(&self, name: String, op: MatchOp, value: String) -> Result<Matcher> {
        Matcher::new(name, op, value).map_err(|error| ParseError::at(self.text, self.last(), error.to_string()))
    }

    pub(super) fn match_op(&self) -> Option<MatchOp> {
        let Token::Sign(sign) = self.peek() else { return None };
        MATCH_SIGNS.iter().find(|(text, _)| text == sign).map(|(_, op)| *op)
    }

    /// The next stage; `None` when no stage begins here.
    fn stage(&mut self) -> Result<Option<Stage>> {
        let start = self.span();
        let Token::Sign(sign) = *self.peek() else { return Ok(None) };
        // After a metric expression `!=` compares; after a selector or stage it filters: only the latter comes here.
        if let Some((_, op)) = LINE_SIGNS.iter().find(|(text, _)| *text == sign) {
            self.take();
            let kind = StageKind::Line(self.line_filter(*op)?);
            return Ok(Some(Stage { span: start.to(self.last()), kind }));
        }
        if sign != "|" {
            return Ok(None);
        }
        self.take();
        let kind = match self.peek().clone() {
            Token::Sign("(") => StageKind::Label(self.label_filter()?),
            Token::Ident(word) => self.word_stage(&word)?,
            _ => return Err(self.unexpected(&[])),
        };
        Ok(Some(Stage { span: start.to(self.last()), kind }))
    }

    fn line_filter(&mut self, op: LineOp) -> Result<LineFilter> {
        let mut any = vec![self.filter_text(op)?];
        while self.is_word("or") && matches!(self.peek_after(), Token::String(_) | Token::Ident(_)) {
            // `… or rate(…)` cannot follow a line filter, so a word here can only be `ip`.
            self.take();
            any.push(self.filter_text(op)?);
        }
        Ok(LineFilter { op, any })
    }

    fn filter_text(&mut self, op: LineOp) -> Result<FilterText> {
        if self.is_word("ip") {
            if !matches!(op, LineOp::Contains | LineOp::NotContains) {
                return Err(ParseError::at(
                    self.text,
                    self.span(),
                    "ip: unknown operation, only |= and != are allowed",
                ));
            }
            return Ok(FilterText::Ip(self.ip()?));
        }
        let text = self.string()?;
        Ok(match op {
            LineOp::Regex | LineOp::NotRegex => FilterText::Regex(
                Pattern::unanchored(&text)
                    .map_err(|error| ParseError::at(self.text, self.last(), error.to_string()))?,
            ),
            _ => FilterText::Text(text),
        })
    }

    pub(super) fn ip(&mut self) -> Result<String> {
        self.take();
        self.expect("(")?;
        let range = self.string()?;
        self.expect(")")?;
        Ok(range)
    }

    fn word_stage(&mut self, word: &str) -> Result<StageKind> {
        // `| json="x"` filters on a label that is called json; but `| json != "x"` is a parser and a line filter.
        let filters = match self.peek_after() {
            Token::Sign("=" | "=~" | "==" | ">" | ">=" | "<" | "<=") => true,
            Token::Sign("!=" | "!~") => !BARE_STAGES.contains(&word),
            _ => false,
        };
        if filters {
            return Ok(StageKind::Label(self.label_filter()?));
        }
        let kind = match word {
            "json" => {
                self.take();
                StageKind::Json(self.extracts()?)
            }
            "logfmt" => {
                self.take();
                let (mut strict, mut keep_empty) = (false, false);
                while let Token::Flag(flag) = self.peek() {
                    match flag.as_str() {
                        "strict" => strict = true,
                        "keep-empty" => keep_empty = true,
                        _ => return Err(self.unexpected(&["--strict", "--keep-empty"])),
                    }
                    self.take();
                }
                StageKind::Logfmt { strict, keep_empty, extracts: self.extracts()? }
            }
            "regexp" => {
                self.take();
                let text = self.string()?;
                let pattern = Pattern::unanchored(&text)
                    .map_err(|error| ParseError::at(self.text, self.last(), error.to_string()))?;
                if pattern.regex().capture_names().flatten().next().is_none() {
                    let message = "at least one named capture must be supplied";
                    return Err(ParseError::at(self.text, self.last(), message));
                }
                StageKind::Regexp(text)
            }
            "pattern" => {
                self.take();
                StageKind::Pattern(self.string()?)
            }
            "unpack" => {
                self.take();
                StageKind::Unpack
            }
            "decolorize" => {
                self.take();
                StageKind::Decolorize
            }
            "line_format" => {
                self.take();
                StageKind::LineFormat(self.string()?)
            }
            "label_format" => {
                self.take();
                StageKind::LabelFormat(self.formats()?)
            }
            "drop" => {
                self.take();
                StageKind::Drop(self.picks()?)
            }
            "keep" => {
                self.take();
                StageKind::Keep(self.picks()?)
            }
            // A word that is no stage can only begin a label filter; what follows it then is what is wrong.
            _ => StageKind::Label(self.label_filter()?),
        };
        Ok(kind)
    }

    /// `a="x.y", b`; nothing at all is fine too.
    fn extracts(&mut self) -> Result<Vec<Extract>> {
        let mut extracts = Vec::new();
        while matches!(self.peek(), Token::Ident(word) if word != "or" && word != "and" && word != "unless") {
            let name = self.identifier()?;
            let expression = if self.take_sign("=") { self.string()? } else { name.clone() };
            extracts.push(Extract { name, expression });
            if !self.take_sign(",") {
                break;
            }
            if !matches!(self.peek(), Token::Ident(_)) {
                return Err(self.unexpected(&["IDENTIFIER"]));
            }
        }
        Ok(extracts)
    }

    fn formats(&mut self) -> Result<Vec<(String, FormatValue)>> {
        let mut formats: Vec<(String, FormatValue)> = Vec::new();
        loop {
            let name = self.identifier()?;
            let at = self.last();
            self.expect("=")?;
            let value = match self.peek() {
                Token::String(_) => FormatValue::Template(self.string()?),
                Token::Ident(_) => FormatValue::Label(self.identifier()?),
                _ => return Err(self.unexpected(&["STRING", "IDENTIFIER"])),
            };
            if formats.iter().any(|(known, _)| *known == name) {
                let message = format!("multiple label name '{name}' not allowed in a single format operation");
                return Err(ParseError::at(self.text, at, message));
            }
            formats.push((name, value));
            if !self.take_sign(",") {
                return Ok(formats);
            }
        }
    }

    fn picks(&mut self) -> Result<Vec<Pick>> {
        let mut picks = Vec::new();
        loop {
            let name = self.identifier()?;
            picks.push(match self.match_op() {
                Some(op) => {
                    self.take();
                    let value = self.string()?;
                    Pick::Match(self.new_matcher(name, op, value)?)
                }
                None => Pick::Name(name),
            });
            if !self.take_sign(",") {
                return Ok(picks);
            }
        }
    }

    fn unwrap(&mut self) -> Result<Unwrap> {
        let start = self.span();
        self.take();
        self.take();
        let word = self.identifier()?;
        let conversion = match word.as_str() {
            "duration" | "duration_seconds" => Conversion::Duration,
            "bytes" => Conversion::Bytes,
            _ => Conversion::None,
        };
        let (label, conversion) = if self.take_sign("(") {
            if conversion == Conversion::None {
                return Err(ParseError::at(self.text, self.last(), format!("unknown conversion {word:?} in unwrap")));
            }
            let label = self.identifier()?;
            self.expect(")")?;
            (label, conversion)
        } else {
            (word, Conversion::None)
        };
        Ok(Unwrap { span: start.to(self.last()), label, conversion, filters: Vec::new() })
    }
}
