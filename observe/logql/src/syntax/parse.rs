//! Recursive descent over the tokens: metric expressions and operators. Lines and their stages are in `parse_log`.

use super::lex::{BINARY_SIGNS, Token, lex};
use super::{
    AggregateOp, Aggregation, Binary, BinaryOp, Expr, ExprKind, Grouping, LabelReplace, LogExpr, Matching, ParseError,
    RangeAggregation, RangeOp, Span,
};

/// Longer queries are refused before they are looked at (Loki's limit).
const QUERY_BYTES_MAX: usize = 131_072;
/// Brackets and operators nested deeper than this are refused, so that no query can exhaust the stack.
const DEPTH_MAX: usize = 100;

pub(super) type Result<T> = std::result::Result<T, ParseError>;

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    tokens: Vec<(Token, Span)>,
    at: usize,
    depth: usize,
}

/// Reads a query. The error says what was found, what was expected and where.
pub fn parse(text: &str) -> Result<Expr> {
    if text.len() > QUERY_BYTES_MAX {
        let message = format!("input size too long ({} > {QUERY_BYTES_MAX})", text.len());
        return Err(ParseError::whole(text, message));
    }
    let mut parser = Parser { text, tokens: lex(text)?, at: 0, depth: 0 };
    let expr = parser.expr(0)?;
    match parser.peek() {
        Token::End => Ok(expr),
        _ => Err(parser.unexpected(&[])),
    }
}

impl Parser<'_> {
    pub(super) fn peek(&self) -> &Token {
        self.tokens.get(self.at).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn peek_after(&self) -> &Token {
        self.tokens.get(self.at + 1).map_or(&Token::End, |(token, _)| token)
    }

    pub(super) fn span(&self) -> Span {
        self.tokens.get(self.at).map_or(Span { start: self.text.len(), end: self.text.len() }, |(_, span)| *span)
    }

    /// The span of what was taken last.
    pub(super) fn last(&self) -> Span {
        self.tokens.get(self.at.saturating_sub(1)).map_or(Span::default(), |(_, span)| *span)
    }

    pub(super) fn take(&mut self) -> Token {
        let token = self.peek().clone();
        if token != Token::End {
            self.at += 1;
        }
        token
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(s) if *s == sign)
    }

    pub(super) fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Ident(w) if w == word)
    }

    pub(super) fn take_sign(&mut self, sign: &str) -> bool {
        let found = self.is_sign(sign);
        self.at += usize::from(found);
        found
    }

    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let found = self.is_word(word);
        self.at += usize::from(found);
        found
    }

    pub(super) fn expect(&mut self, sign: &str) -> Result<()> {
        if self.take_sign(sign) { Ok(()) } else { Err(self.unexpected(&[sign])) }
    }

    pub(super) fn identifier(&mut self) -> Result<String> {
        match self.peek() {
            Token::Ident(_) => match self.take() {
                Token::Ident(word) => Ok(word),
                _ => Err(self.unexpected(&["IDENTIFIER"])),
            },
            _ => Err(self.unexpected(&["IDENTIFIER"])),
        }
    }

    pub(super) fn string(&mut self) -> Result<String> {
        match self.peek() {
            Token::String(text) => {
                let text = text.clone();
                self.at += 1;
                Ok(text)
            }
            _ => Err(self.unexpected(&["STRING"])),
        }
    }

    /// The error about the token at hand, in the words of Loki's parser.
    pub(super) fn unexpected(&self, expected: &[&str]) -> ParseError {
        let mut message = format!("syntax error: unexpected {}", self.peek().describe());
        if !expected.is_empty() {
            message.push_str(&format!(", expecting {}", expected.join(" or ")));
        }
        ParseError::at(self.text, self.span(), message)
    }

    pub(super) fn deeper<T>(&mut self, inner: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= DEPTH_MAX {
            let message = format!("the query is nested deeper than {DEPTH_MAX} levels");
            return Err(ParseError::at(self.text, self.span(), message));
        }
        self.depth += 1;
        let result = inner(self);
        self.depth -= 1;
        result
    }

    /// Precedence climbing; `min` is the lowest operator taken.
    pub(super) fn expr(&mut self, min: u8) -> Result<Expr> {
        self.deeper(|p| p.expr_inner(min))
    }

    fn expr_inner(&mut self, min: u8) -> Result<Expr> {
        let mut left = self.primary()?;
        // A tree of left-hand operators grows without recursion here, but whoever walks it recurses.
        let mut chained = 0;
        while let Some(op) = self.binary_op().filter(|op| op.precedence() >= min) {
            chained += 1;
            if chained > DEPTH_MAX {
                let message = format!("more than {DEPTH_MAX} operators in a row");
                return Err(ParseError::at(self.text, self.span(), message));
            }
            let sign = self.span();
            self.take();
            let bool_result = self.take_word("bool");
            if bool_result && !op.is_comparison() {
                return Err(ParseError::at(
                    self.text,
                    self.last(),
                    "bool modifier can only be used on comparison operators",
                ));
            }
            let matching = self.matching()?;
            // Only the power is right associative.
            let right = self.expr(op.precedence() + u8::from(op != BinaryOp::Power))?;
            for (side, leg) in [("left", &left), ("right", &right)] {
                if matches!(leg.kind, ExprKind::Log(_)) {
                    let sign = super::sign_text(op);
                    let message =
                        format!("unexpected type for {side} leg of binary operation ({sign}): log expression");
                    return Err(ParseError::at(self.text, leg.span, message));
                }
                if op.is_set() && matches!(leg.kind, ExprKind::Number(_)) {
                    let name = super::sign_text(op);
                    let message = format!("unexpected literal for {side} leg of logical/set binary operation ({name})");
                    return Err(ParseError::at(self.text, leg.span.to(sign.to(leg.span)), message));
                }
            }
            let span = left.span.to(right.span);
            let kind = ExprKind::Binary(Box::new(Binary { op, bool_result, matching, left, right }));
            left = Expr { span, kind };
        }
        Ok(left)
    }

    fn binary_op(&self) -> Option<BinaryOp> {
        let text = match self.peek() {
            Token::Sign(sign) => *sign,
            Token::Ident(word) => word.as_str(),
            _ => return None,
        };
        BINARY_SIGNS.iter().find(|(sign, _)| *sign == text).map(|(_, op)| *op)
    }

    fn matching(&mut self) -> Result<Option<Matching>> {
        let on = self.is_word("on");
        if !on && !self.is_word("ignoring") {
            return Ok(None);
        }
        self.take();
        let labels = self.label_list()?;
        let group = match (self.is_word("group_left"), self.is_word("group_right")) {
            (false, false) => None,
            (left, _) => {
                self.take();
                let include = if self.is_sign("(") { self.label_list()? } else { Vec::new() };
                Some((left, include))
            }
        };
        Ok(Some(Matching { on, labels, group }))
    }

    /// `(a, b)`; may be empty.
    fn label_list(&mut self) -> Result<Vec<String>> {
        self.expect("(")?;
        let mut labels = Vec::new();
        while !self.is_sign(")") {
            labels.push(self.identifier()?);
            if !self.take_sign(",") && !self.is_sign(")") {
                return Err(self.unexpected(&[",", ")"]));
            }
        }
        self.expect(")")?;
        Ok(labels)
    }

    fn grouping(&mut self) -> Result<Option<Grouping>> {
        let without = self.is_word("without");
        if !without && !self.is_word("by") {
            return Ok(None);
        }
        self.take();
        Ok(Some(Grouping { without, labels: self.label_list()? }))
    }

    fn primary(&mut self) -> Result<Expr> {
        let start = self.span();
        let kind = match self.peek().clone() {
            Token::Sign("{") => ExprKind::Log(self.log_expr()?),
            Token::Sign("(") => {
                self.take();
                let mut inner = self.expr(0)?;
                self.expect(")")?;
                inner.span = start.to(self.last());
                return Ok(inner);
            }
            Token::Sign(sign @ ("-" | "+")) => {
                self.take();
                let Token::Number(number) = *self.peek() else { return Err(self.unexpected(&["NUMBER"])) };
                self.take();
                ExprKind::Number(if sign == "-" { -number } else { number })
            }
            Token::Number(number) => {
                self.take();
                ExprKind::Number(number)
            }
            Token::Ident(word) => self.call(&word)?,
            _ => return Err(self.unexpected(&[])),
        };
        Ok(Expr { span: start.to(self.last()), kind })
    }

    fn call(&mut self, word: &str) -> Result<ExprKind> {
        // A function's name is one only before a bracket or a grouping.
        let called = matches!(self.peek_after(), Token::Sign("("));
        let grouped = matches!(self.peek_after(), Token::Ident(w) if w == "by" || w == "without");
        if let Some((_, op)) = RangeOp::NAMES.iter().find(|(name, _)| *name == word && called) {
            self.take();
            return self.range_aggregation(*op);
        }
        if let Some((_, op)) = AggregateOp::NAMES.iter().find(|(name, _)| *name == word && (called || grouped)) {
            self.take();
            return self.aggregation(*op);
        }
        match word {
            "vector" if called => {
                self.take();
                self.expect("(")?;
                let Token::Number(number) = *self.peek() else { return Err(self.unexpected(&["NUMBER"])) };
                self.take();
                self.expect(")")?;
                Ok(ExprKind::Vector(number))
            }
            "label_replace" if called => self.label_replace(),
            _ => Err(self.unexpected(&[])),
        }
    }

    fn aggregation(&mut self, op: AggregateOp) -> Result<ExprKind> {
        let name = self.last();
        let fail = |p: &Self, message: String| Err(ParseError::at(p.text, name, message));
        let before = self.grouping()?;
        self.expect("(")?;
        let mut parameter = None;
        if let (Token::Number(number), Token::Sign(",")) = (self.peek(), self.peek_after()) {
            let number = *number;
            if !op.takes_parameter() {
                return fail(self, format!("unsupported parameter for operation {}({number},", op.name()));
            }
            if number < 1.0 || number.fract() != 0.0 || number > 1e6 {
                let message = format!("invalid parameter (must be greater than 0) {}({number}", op.name());
                return fail(self, message);
            }
            parameter = Some(number as usize);
            self.take();
            self.take();
        }
        if op.takes_parameter() && parameter.is_none() {
            return fail(self, format!("parameter required for operation {}", op.name()));
        }
        let of = self.metric()?;
        self.expect(")")?;
        let after = self.grouping()?;
        if before.is_some() && after.is_some() {
            return Err(ParseError::at(self.text, self.last(), "the grouping is given twice, before and after"));
        }
        Ok(ExprKind::Aggregate(Box::new(Aggregation { op, parameter, grouping: before.or(after), of })))
    }

    /// An expression that gives numbers, not lines.
    fn metric(&mut self) -> Result<Expr> {
        let expr = self.expr(0)?;
        match expr.kind {
            // What follows a selector here is most often a forgotten range.
            ExprKind::Log(_) => Err(ParseError::at(
                self.text,
                self.span(),
                format!(
                    "syntax error: unexpected {}, a log selector needs a function such as count_over_time({{…}}[5m])",
                    self.peek().describe()
                ),
            )),
            _ => Ok(expr),
        }
    }

    fn label_replace(&mut self) -> Result<ExprKind> {
        self.take();
        self.expect("(")?;
        let of = self.metric()?;
        let mut texts = Vec::new();
        for _ in 0..4 {
            self.expect(",")?;
            texts.push((self.string()?, self.last()));
        }
        self.expect(")")?;
        let mut texts = texts.into_iter();
        let mut next = || texts.next().unwrap_or_default();
        let (target, replacement, source, (regex, regex_span)) = (next().0, next().0, next().0, next());
        if let Err(error) = base_signal::Pattern::anchored(&regex) {
            let message = format!("invalid regex in label_replace: {error}");
            return Err(ParseError::at(self.text, regex_span, message));
        }
        Ok(ExprKind::LabelReplace(Box::new(LabelReplace { of, target, replacement, source, regex })))
    }

    fn range_aggregation(&mut self, op: RangeOp) -> Result<ExprKind> {
        let name = self.last();
        self.expect("(")?;
        let parameter = match (self.peek(), op) {
            (Token::Number(number), RangeOp::Quantile) => Some(*number),
            (Token::Number(number), _) if matches!(self.peek_after(), Token::Sign(",")) => {
                let message = format!("parameter {number} not supported for operation {}", op.name());
                return Err(ParseError::at(self.text, name, message));
            }
            (_, RangeOp::Quantile) => {
                let message = format!("parameter required for operation {}", op.name());
                return Err(ParseError::at(self.text, name, message));
            }
            _ => None,
        };
        if parameter.is_some() {
            self.take();
            self.expect(",")?;
        }
        let found = self.log_range()?;
        self.expect(")")?;
        let wants_unwrap =
            !matches!(op, RangeOp::Count | RangeOp::Rate | RangeOp::Bytes | RangeOp::BytesRate | RangeOp::Absent);
        if wants_unwrap && found.unwrap.is_none() {
            return Err(ParseError::whole(self.text, format!("invalid aggregation {} without unwrap", op.name())));
        }
        let counts = matches!(op, RangeOp::Count | RangeOp::Bytes | RangeOp::BytesRate);
        if counts && found.unwrap.is_some() {
            return Err(ParseError::whole(self.text, format!("invalid aggregation {} with unwrap", op.name())));
        }
        let grouping = self.grouping()?;
        if grouping.is_some() && (!wants_unwrap || matches!(op, RangeOp::Sum | RangeOp::RateCounter)) {
            return Err(ParseError::whole(self.text, format!("grouping not allowed for {} aggregation", op.name())));
        }
        let (range_ns, offset_ns) = (found.range_ns, found.offset_ns);
        Ok(ExprKind::Range(RangeAggregation {
            op,
            parameter,
            log: found.log,
            range_ns,
            offset_ns,
            unwrap: found.unwrap,
            grouping,
        }))
    }
}

/// What stands between the brackets of `rate(…)`.
pub(super) struct LogRange {
    pub(super) log: LogExpr,
    pub(super) range_ns: i64,
    pub(super) offset_ns: i64,
    pub(super) unwrap: Option<super::Unwrap>,
}
