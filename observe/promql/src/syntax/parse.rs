//! Tokens to a tree: recursive descent, with binary operators by precedence climbing. Selectors and durations are in
//! `selector.rs`, types are checked afterwards in `check.rs`.
//!
//! Errors are worded as Prometheus' generated parser words them: what was found, in which construct, what was expected.

use super::ast::{
    Aggregate, AggregateOp, Binary, BinaryOp, Call, Cardinality, Expr, ExprKind, Matching, UNARY_PRECEDENCE, ValueType,
};
use super::error::{ParseError, Span};
use super::function::find_function;
use super::lex::Lexer;
use super::text::{parse_duration_ms, parse_number, quote, unquote};
use super::token::{Kind, Token};

/// Trees are walked by recursion, so their depth is limited: by what fits a thread's stack of 2 MiB in a debug build. A link
/// of a chain of operators counts as one.
const DEPTH_MAX: usize = 240;
/// A level of nesting counts as so many links, for the parser itself recurses there.
const NESTING: usize = 3;

/// Parses and checks a query.
pub fn parse(query: &str) -> Result<Expr, ParseError> {
    let mut parser = Parser::new(query)?;
    if parser.token.kind == Kind::Eof {
        return Err(parser.error(Span::default(), "no expression found in input"));
    }
    let expr = parser.expr(0)?;
    if parser.token.kind != Kind::Eof {
        return Err(parser.unexpected("", ""));
    }
    super::check::check(query, &expr)?;
    Ok(expr)
}

/// Parses a selector alone, as `match[]` parameters carry it. Unlike in a query, `{}` is allowed.
pub fn parse_selector(query: &str) -> Result<Vec<base_signal::Matcher>, ParseError> {
    let mut parser = Parser::new(query)?;
    let start = parser.token;
    let ExprKind::Selector(selector) = parser.primary()?.kind else {
        return Err(parser.unexpected_token(start, "", ""));
    };
    if parser.token.kind != Kind::Eof {
        return Err(parser.unexpected("", ""));
    }
    Ok(selector.matchers)
}

pub(super) struct Parser<'q> {
    query: &'q str,
    lexer: Lexer<'q>,
    /// The one token of look-ahead.
    pub(super) token: Token<'q>,
    /// Why there is no token to look at; told when the parser would need one, for an earlier mistake goes first.
    refused: Option<ParseError>,
    /// The end of the last token that was taken.
    pub(super) last_end: usize,
    depth: usize,
    /// Aggregations whose arguments we are in: errors there say so.
    aggregations_open: usize,
}

impl<'q> Parser<'q> {
    fn new(query: &'q str) -> Result<Self, ParseError> {
        let mut lexer = Lexer::new(query);
        let token = lexer.next()?;
        Ok(Parser { query, lexer, token, refused: None, last_end: 0, depth: 0, aggregations_open: 0 })
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> ParseError {
        ParseError::at(self.query, span, message)
    }

    pub(super) fn unexpected(&self, context: &str, expected: &str) -> ParseError {
        self.unexpected_token(self.token, context, expected)
    }

    fn unexpected_token(&self, token: Token<'_>, context: &str, expected: &str) -> ParseError {
        if token.kind == Kind::Error
            && let Some(refused) = &self.refused
        {
            return refused.clone();
        }
        let mut message = format!("unexpected {}", token.describe());
        let context = if context.is_empty() && self.aggregations_open > 0 { "aggregation" } else { context };
        if !context.is_empty() {
            message.push_str(" in ");
            message.push_str(context);
        }
        if !expected.is_empty() {
            message.push_str(", expected ");
            message.push_str(expected);
        }
        self.error(token.span, message)
    }

    pub(super) fn advance(&mut self) -> Result<Token<'q>, ParseError> {
        let taken = self.token;
        if let Some(refused) = &self.refused {
            return Err(refused.clone());
        }
        self.last_end = taken.span.end;
        self.token = self.lexer.next().unwrap_or_else(|error| {
            let span = error.span;
            self.refused = Some(error);
            Token { kind: Kind::Error, text: "", span }
        });
        Ok(taken)
    }

    /// Takes the token if it is this word.
    pub(super) fn eat(&mut self, word: &str) -> Result<bool, ParseError> {
        let found = self.token.is(word);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, word: &str, context: &str, expected: &str) -> Result<Token<'q>, ParseError> {
        if self.token.is(word) { self.advance() } else { Err(self.unexpected(context, expected)) }
    }

    pub(super) fn deeper<T>(
        &mut self,
        inner: impl FnOnce(&mut Self) -> Result<T, ParseError>,
    ) -> Result<T, ParseError> {
        self.go_deeper(NESTING)?;
        let result = inner(self);
        self.depth -= NESTING;
        result
    }

    fn go_deeper(&mut self, by: usize) -> Result<(), ParseError> {
        self.depth += by;
        if self.depth > DEPTH_MAX {
            let message = format!(
                "the expression is too deep: at most {DEPTH_MAX} operators in a chain, or {} levels; split it up",
                DEPTH_MAX / NESTING
            );
            return Err(self.error(self.token.span, message));
        }
        Ok(())
    }

    /// An expression whose operators all bind at least as tightly as `precedence_min`.
    pub(super) fn expr(&mut self, precedence_min: u8) -> Result<Expr, ParseError> {
        let depth = self.depth;
        let result = self.expr_unbalanced(precedence_min);
        self.depth = depth;
        result
    }

    fn expr_unbalanced(&mut self, precedence_min: u8) -> Result<Expr, ParseError> {
        self.go_deeper(NESTING)?;
        let mut left = self.prefix()?;
        while self.token.kind == Kind::Operator
            && let Some(op) = BinaryOp::parse(self.token.text)
            && op.precedence() >= precedence_min
        {
            // A chain leans left, so its tree is as deep as it is long.
            self.go_deeper(1)?;
            let op_span = self.advance()?.span;
            let (return_bool, mut matching) = self.binary_modifiers()?;
            // Power leans right.
            let right_min = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
            let right = self.expr(right_min)?;
            let vectors = [&left, &right].iter().all(|side| side.value_type() == ValueType::Vector);
            if !vectors && matching.labels.is_empty() && matching.fill_left.is_none() && matching.fill_right.is_none() {
                // Beside a scalar `on ()` says nothing.
                matching = Matching::default();
            }
            let span = left.span.to(right.span);
            let binary = Binary { op, op_span, left, right, return_bool, matching };
            left = Expr { kind: ExprKind::Binary(Box::new(binary)), span };
        }
        Ok(left)
    }

    fn may_start_expr(&self) -> bool {
        match self.token.kind {
            Kind::Punctuation => self.token.is("(") || self.token.is("{"),
            Kind::Operator => ["+", "-", "and", "or", "unless"].iter().any(|word| self.token.is(word)),
            Kind::Keyword => !["on", "ignoring", "group_left", "group_right", "bool"].iter().any(|w| self.token.is(w)),
            Kind::Eof => false,
            _ => true,
        }
    }

    fn prefix(&mut self) -> Result<Expr, ParseError> {
        if !(self.token.is("-") || self.token.is("+")) {
            let primary = self.primary()?;
            return self.postfix(primary);
        }
        let sign = self.advance()?;
        let negative = sign.text == "-";
        let mut expr = self.expr(UNARY_PRECEDENCE + 1)?;
        let span = sign.span.to(expr.span);
        if let ExprKind::Number { value, .. } = &mut expr.kind {
            *value = if negative { -*value } else { *value };
            return Ok(Expr { kind: expr.kind, span });
        }
        Ok(Expr { kind: ExprKind::Unary { negative, expr: Box::new(expr) }, span })
    }

    fn primary(&mut self) -> Result<Expr, ParseError> {
        let token = self.token;
        match token.kind {
            Kind::Number | Kind::Duration => self.number(),
            Kind::String => {
                let value = self.string()?;
                Ok(Expr { kind: ExprKind::String(value), span: token.span })
            }
            Kind::Punctuation if token.text == "(" => {
                self.advance()?;
                let inner = self.expr(0)?;
                let close = self.expect(")", "", "")?;
                Ok(Expr { kind: ExprKind::Paren(Box::new(inner)), span: token.span.to(close.span) })
            }
            Kind::Punctuation if token.text == "{" => self.selector(None),
            Kind::MetricIdentifier => {
                self.advance()?;
                self.selector(Some(token))
            }
            Kind::Identifier | Kind::Preprocessor => {
                self.advance()?;
                if self.token.is("(") { self.call(token) } else { self.selector(Some(token)) }
            }
            Kind::Aggregator => {
                self.advance()?;
                let aggregates = ["(", "by", "without"].iter().any(|word| self.token.is(word));
                if aggregates { self.aggregate(token) } else { self.selector(Some(token)) }
            }
            // Words that may also name a metric.
            Kind::Keyword | Kind::Operator
                if ["and", "or", "unless", "by", "without", "offset", "fill", "fill_left", "fill_right"]
                    .iter()
                    .chain(&["anchored", "smoothed"])
                    .any(|word| token.is(word)) =>
            {
                self.advance()?;
                self.selector(Some(token))
            }
            _ => Err(self.unexpected("", "")),
        }
    }

    pub(super) fn number(&mut self) -> Result<Expr, ParseError> {
        let token = self.advance()?;
        let is_duration = token.kind == Kind::Duration;
        let value = if is_duration {
            parse_duration_ms(token.text).map(|ms| ms as f64 / 1000.0)
        } else {
            parse_number(token.text).map_err(|why| format!("error parsing number: {why}"))
        };
        let value = value.map_err(|why| self.error(token.span, why))?;
        Ok(Expr { kind: ExprKind::Number { value, is_duration }, span: token.span })
    }

    pub(super) fn string(&mut self) -> Result<String, ParseError> {
        let token = self.advance()?;
        unquote(token.text)
            .map_err(|why| self.error(token.span, format!("error unquoting string {}: {why}", quote(token.text))))
    }

    fn call(&mut self, name: Token<'q>) -> Result<Expr, ParseError> {
        let args = self.args()?;
        let span = Span::new(name.span.start, self.last_end);
        let Some(function) = find_function(name.text) else {
            return Err(self.error(name.span, format!("unknown function with name {}", quote(name.text))));
        };
        Ok(Expr { kind: ExprKind::Call(Call { function, args }), span })
    }

    /// `(` expressions `)`
    fn args(&mut self) -> Result<Vec<Expr>, ParseError> {
        self.expect("(", "", "")?;
        let mut args = Vec::new();
        if self.eat(")")? {
            return Ok(args);
        }
        loop {
            args.push(self.expr(0)?);
            if !self.token.is(",") {
                self.expect(")", "", "")?;
                return Ok(args);
            }
            let comma = self.advance()?;
            if !self.may_start_expr() {
                return Err(self.error(comma.span, "trailing commas not allowed in function call args"));
            }
        }
    }

    fn aggregate(&mut self, name: Token<'q>) -> Result<Expr, ParseError> {
        self.aggregations_open += 1;
        let mut modifier = self.aggregate_modifier()?;
        let args = self.args()?;
        self.aggregations_open -= 1;
        let mut end = self.last_end;
        if modifier.is_none() {
            modifier = self.aggregate_modifier()?;
            end = if modifier.is_some() { self.last_end } else { end };
        }
        let span = Span::new(name.span.start, end);
        let (without, labels) = modifier.unwrap_or_default();
        let op = AggregateOp::parse(name.text).ok_or_else(|| self.unexpected_token(name, "", ""))?;
        if args.is_empty() {
            return Err(self.error(span, "no arguments for aggregate expression provided"));
        }
        let wanted = if op.has_param() { 2 } else { 1 };
        if args.len() != wanted {
            let got = args.len();
            let message =
                format!("wrong number of arguments for aggregate expression provided, expected {wanted}, got {got}");
            return Err(self.error(span, message));
        }
        let mut args = args.into_iter();
        let param = if op.has_param() { args.next() } else { None };
        let expr = args.next().ok_or_else(|| self.unexpected("", ""))?;
        Ok(Expr { kind: ExprKind::Aggregate(Box::new(Aggregate { op, param, expr, without, labels })), span })
    }

    fn aggregate_modifier(&mut self) -> Result<Option<(bool, Vec<String>)>, ParseError> {
        let without = self.token.is("without");
        if !without && !self.token.is("by") {
            return Ok(None);
        }
        self.advance()?;
        Ok(Some((without, self.grouping_labels()?)))
    }

    fn grouping_labels(&mut self) -> Result<Vec<String>, ParseError> {
        const CONTEXT: &str = "grouping opts";
        self.expect("(", CONTEXT, "\"(\"")?;
        let mut labels = Vec::new();
        if self.eat(")")? {
            return Ok(labels);
        }
        loop {
            let token = self.token;
            let label = match token.kind {
                Kind::String => self.string()?,
                Kind::Identifier
                | Kind::MetricIdentifier
                | Kind::Aggregator
                | Kind::Keyword
                | Kind::Operator
                | Kind::Preprocessor
                    if token.text.starts_with(|c: char| c == '_' || c == ':' || c.is_ascii_alphabetic()) =>
                {
                    self.advance()?.text.to_owned()
                }
                _ => return Err(self.unexpected(CONTEXT, "label")),
            };
            if label.is_empty() {
                return Err(self.error(token.span, "invalid label name for grouping: \"\""));
            }
            labels.push(label);
            if self.eat(")")? {
                return Ok(labels);
            }
            self.expect(",", CONTEXT, "\",\" or \")\"")?;
            if self.eat(")")? {
                return Ok(labels);
            }
        }
    }

    fn binary_modifiers(&mut self) -> Result<(bool, Matching), ParseError> {
        let return_bool = self.eat("bool")?;
        let mut matching = Matching::default();
        if self.token.is("on") || self.token.is("ignoring") {
            matching.on = self.advance()?.is("on");
            matching.labels = self.grouping_labels()?;
            let left = self.token.is("group_left");
            if left || self.token.is("group_right") {
                self.advance()?;
                matching.cardinality = if left { Cardinality::ManyToOne } else { Cardinality::OneToMany };
                if self.token.is("(") {
                    matching.include = self.grouping_labels()?;
                }
            }
        }
        if self.eat("fill")? {
            let value = self.fill_value()?;
            (matching.fill_left, matching.fill_right) = (Some(value), Some(value));
        }
        for _ in 0..2 {
            if matching.fill_left.is_none() && self.eat("fill_left")? {
                matching.fill_left = Some(self.fill_value()?);
            } else if matching.fill_right.is_none() && self.eat("fill_right")? {
                matching.fill_right = Some(self.fill_value()?);
            }
        }
        Ok((return_bool, matching))
    }

    fn fill_value(&mut self) -> Result<f64, ParseError> {
        self.expect("(", "", "")?;
        let negative = self.token.is("-");
        if negative || self.token.is("+") {
            self.advance()?;
        }
        if !matches!(self.token.kind, Kind::Number | Kind::Duration) {
            return Err(self.unexpected("", ""));
        }
        let ExprKind::Number { value, .. } = self.number()?.kind else { return Err(self.unexpected("", "")) };
        self.expect(")", "", "")?;
        Ok(if negative { -value } else { value })
    }
}
