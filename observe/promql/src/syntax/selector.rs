//! The parser's half for selectors: braces, ranges and subqueries, offsets, `@`, and arithmetic of durations.

use base_signal::{MatchOp, Matcher};

use super::ast::{
    At, BinaryOp, Duration, DurationKind, Expr, ExprKind, Extension, Modifiers, RangeSelector, Selector, Subquery,
    UNARY_PRECEDENCE,
};
use super::error::{ParseError, Span};
use super::parse::Parser;
use super::token::{Kind, Token};

/// The label that holds a metric's name.
pub(crate) const NAME: &str = "__name__";
/// Go's durations end here, in seconds.
const DURATION_MAX_S: f64 = 9_223_372_036.854_776;

const DURATION_WANTED: &str = "number, duration, step(), or range()";

impl<'q> Parser<'q> {
    /// A selector whose name, if any, has been taken.
    pub(super) fn selector(&mut self, name: Option<Token<'q>>) -> Result<Expr, ParseError> {
        let start = name.map_or(self.token.span, |n| n.span);
        let mut end = start;
        let mut matchers = Vec::new();
        if self.token.is("{") {
            matchers = self.matchers()?;
            end = Span::new(start.start, self.last_end);
        }
        let name = name.map_or("", |n| n.text).to_owned();
        if !name.is_empty() {
            matchers.push(Matcher::equal(NAME, name.clone()));
        }
        let selector = Selector { name, matchers, modifiers: Modifiers::default(), extension: None };
        Ok(Expr { kind: ExprKind::Selector(Box::new(selector)), span: start.to(end) })
    }

    fn matchers(&mut self) -> Result<Vec<Matcher>, ParseError> {
        const CONTEXT: &str = "label matching";
        self.advance()?;
        let mut matchers = Vec::new();
        if self.eat("}")? {
            return Ok(matchers);
        }
        loop {
            let token = self.token;
            let quoted = token.kind == Kind::String;
            let name = match token.kind {
                Kind::String => self.string()?,
                Kind::Identifier => self.advance()?.text.to_owned(),
                _ => return Err(self.unexpected(CONTEXT, "identifier or \"}\"")),
            };
            let op = match self.token.text {
                "=" => Some(MatchOp::Equal),
                "!=" => Some(MatchOp::NotEqual),
                "=~" => Some(MatchOp::Regex),
                "!~" => Some(MatchOp::NotRegex),
                _ => None,
            };
            match op {
                Some(op) => {
                    self.advance()?;
                    if self.token.kind != Kind::String {
                        return Err(self.unexpected(CONTEXT, "string"));
                    }
                    let value = self.string()?;
                    let span = Span::new(token.span.start, self.last_end);
                    matchers.push(Matcher::new(name, op, value).map_err(|e| self.error(span, e.to_string()))?);
                }
                None if quoted => matchers.push(Matcher::equal(NAME, name)),
                None => return Err(self.unexpected(CONTEXT, "label matching operator")),
            }
            if self.eat("}")? {
                return Ok(matchers);
            }
            self.expect(",", CONTEXT, "\",\" or \"}\"")?;
            if self.eat("}")? {
                return Ok(matchers);
            }
        }
    }

    /// All that may follow an expression and binds tighter than any operator.
    pub(super) fn postfix(&mut self, mut expr: Expr) -> Result<Expr, ParseError> {
        let mut subqueries = 0;
        loop {
            if self.token.is("[") {
                // Subqueries of subqueries are refused by type, but must not grow the tree without end before that.
                subqueries += 1;
                if subqueries > 8 {
                    return Err(self.error(self.token.span, "too many ranges in a row"));
                }
                expr = self.brackets(expr)?;
            } else if self.token.is("offset") {
                self.offset(&mut expr)?;
            } else if self.token.is("@") {
                self.at(&mut expr)?;
            } else if self.token.is("anchored") {
                self.extension(&mut expr, Extension::Anchored)?;
            } else if self.token.is("smoothed") {
                self.extension(&mut expr, Extension::Smoothed)?;
            } else {
                return Ok(expr);
            }
        }
    }

    fn brackets(&mut self, expr: Expr) -> Result<Expr, ParseError> {
        let open = self.advance()?;
        let range = self.positive_duration("subquery or range selector", DURATION_WANTED)?;
        if self.eat(":")? {
            let step = if self.token.is("]") {
                None
            } else {
                Some(self.positive_duration("subquery selector", "number, duration, step(), range(), or \"]\"")?)
            };
            self.expect("]", "subquery selector", "\"]\"")?;
            let span = Span::new(expr.span.start, self.last_end);
            let subquery = Subquery { expr, range, step, modifiers: Modifiers::default() };
            return Ok(Expr { kind: ExprKind::Subquery(Box::new(subquery)), span });
        }
        self.expect("]", "subquery or range", "\":\" or \"]\"")?;
        let brackets = Span::new(open.span.start, self.last_end);
        let ExprKind::Selector(selector) = expr.kind else {
            return Err(self.error(brackets, "ranges only allowed for vector selectors"));
        };
        if selector.modifiers.offset.is_some() {
            return Err(self.error(brackets, "no offset modifiers allowed before range"));
        }
        if selector.modifiers.at.is_some() {
            return Err(self.error(brackets, "no @ modifiers allowed before range"));
        }
        let range = RangeSelector { selector: *selector, selector_span: expr.span, range };
        let span = Span::new(expr.span.start, self.last_end);
        Ok(Expr { kind: ExprKind::Range(Box::new(range)), span })
    }

    fn offset(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        self.advance()?;
        let offset = self.offset_duration()?;
        let Some(modifiers) = modifiers(expr) else {
            let message =
                "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return Err(self.error(expr.span, message));
        };
        if modifiers.offset.is_some() {
            return Err(self.error(expr.span, "offset may not be set multiple times"));
        }
        // An offset of nothing is as good as none, and may be given again.
        let nothing = matches!(offset.kind, DurationKind::Seconds { value, .. } if (value * 1e9).round() == 0.0);
        modifiers.offset = if nothing { None } else { Some(offset) };
        expr.span.end = self.last_end;
        Ok(())
    }

    fn at(&mut self, expr: &mut Expr) -> Result<(), ParseError> {
        const CONTEXT: &str = "@";
        const WANTED: &str = "timestamp";
        self.advance()?;
        let word = self.token;
        let at = if word.is("start") || word.is("end") {
            self.advance()?;
            self.expect("(", CONTEXT, WANTED)?;
            self.expect(")", CONTEXT, WANTED)?;
            if word.is("start") { At::Start } else { At::End }
        } else {
            let negative = word.is("-");
            if negative || word.is("+") {
                self.advance()?;
            }
            if !matches!(self.token.kind, Kind::Number | Kind::Duration) {
                return Err(self.unexpected(CONTEXT, WANTED));
            }
            let ExprKind::Number { value: seconds, .. } = self.number()?.kind else {
                return Err(self.unexpected(CONTEXT, WANTED));
            };
            let seconds = if negative { -seconds } else { seconds };
            if !seconds.is_finite() || seconds.abs() >= i64::MAX as f64 {
                let printed =
                    if seconds.is_finite() { format!("{seconds:.6}") } else { super::text::format_number(seconds) };
                return Err(self.error(expr.span, format!("timestamp out of bounds for @ modifier: {printed}")));
            }
            At::TimeMs((seconds * 1000.0).round() as i64)
        };
        let Some(modifiers) = modifiers(expr) else {
            let message =
                "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery";
            return Err(self.error(expr.span, message));
        };
        if modifiers.at.is_some() {
            return Err(self.error(expr.span, "@ <timestamp> may not be set multiple times"));
        }
        modifiers.at = Some(at);
        expr.span.end = self.last_end;
        Ok(())
    }

    fn extension(&mut self, expr: &mut Expr, extension: Extension) -> Result<(), ParseError> {
        let word = self.advance()?.text.to_ascii_lowercase();
        let selector = match &mut expr.kind {
            ExprKind::Selector(selector) => selector.as_mut(),
            ExprKind::Range(range) => &mut range.selector,
            ExprKind::Subquery(_) => {
                return Err(self.error(expr.span, format!("{word} modifier is not supported for subqueries")));
            }
            _ => return Err(self.error(expr.span, format!("{word} modifier not implemented"))),
        };
        if selector.extension.is_some_and(|other| other != extension) {
            return Err(self.error(expr.span, "anchored and smoothed modifiers cannot be used together"));
        }
        selector.extension = Some(extension);
        expr.span.end = self.last_end;
        Ok(())
    }

    fn positive_duration(&mut self, context: &str, wanted: &str) -> Result<Duration, ParseError> {
        let duration = self.duration(0, context, wanted)?;
        match duration.kind {
            DurationKind::Seconds { value, .. } if value <= 0.0 || value.is_nan() => {
                Err(self.error(duration.span, "duration must be greater than 0"))
            }
            _ => Ok(duration),
        }
    }

    /// After `offset` an operator belongs to what is outside, unless the duration stands in parentheses.
    fn offset_duration(&mut self) -> Result<Duration, ParseError> {
        const CONTEXT: &str = "offset";
        if self.token.is("(") {
            return self.duration(0, CONTEXT, DURATION_WANTED);
        }
        let sign = self.token;
        let signed = sign.is("-") || sign.is("+");
        if signed {
            self.advance()?;
        }
        let operand = self.duration_operand(CONTEXT, DURATION_WANTED)?;
        if !signed {
            return Ok(operand);
        }
        self.apply_sign(sign, operand)
    }

    fn apply_sign(&self, sign: Token<'q>, mut operand: Duration) -> Result<Duration, ParseError> {
        let span = sign.span.to(operand.span);
        if sign.text == "+" {
            operand.span = span;
            return Ok(operand);
        }
        let kind = match operand.kind {
            DurationKind::Seconds { value, is_duration } => DurationKind::Seconds { value: -value, is_duration },
            _ => DurationKind::Negative(Box::new(operand)),
        };
        Ok(Duration { kind, span })
    }

    fn duration(&mut self, precedence_min: u8, context: &str, wanted: &str) -> Result<Duration, ParseError> {
        self.deeper(|p| p.duration_chain(precedence_min, context, wanted))
    }

    fn duration_chain(&mut self, precedence_min: u8, context: &str, wanted: &str) -> Result<Duration, ParseError> {
        let sign = self.token;
        let mut left = if sign.is("-") || sign.is("+") {
            self.advance()?;
            let operand = self.duration(UNARY_PRECEDENCE + 1, context, wanted)?;
            self.apply_sign(sign, operand)?
        } else {
            self.duration_operand(context, wanted)?
        };
        let mut links = 0;
        while self.token.kind == Kind::Operator
            && let Some(op) = BinaryOp::parse(self.token.text)
            && matches!(
                op,
                BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul | BinaryOp::Div | BinaryOp::Mod | BinaryOp::Pow
            )
            && op.precedence() >= precedence_min
        {
            links += 1;
            if links > 100 {
                return Err(self.error(self.token.span, "the duration has more than 100 parts"));
            }
            let op_token = self.advance()?;
            let right_min = if op == BinaryOp::Pow { op.precedence() } else { op.precedence() + 1 };
            let right = self.duration(right_min, context, wanted)?;
            if matches!(right.kind, DurationKind::Seconds { value: 0.0, .. }) {
                match op {
                    BinaryOp::Div => return Err(self.error(op_token.span, "division by zero")),
                    BinaryOp::Mod => return Err(self.error(op_token.span, "modulo by zero")),
                    _ => {}
                }
            }
            let span = left.span.to(right.span);
            left = Duration { kind: DurationKind::Binary { op, left: Box::new(left), right: Box::new(right) }, span };
        }
        Ok(left)
    }

    fn duration_operand(&mut self, context: &str, wanted: &str) -> Result<Duration, ParseError> {
        let start = self.token.span.start;
        let kind = if matches!(self.token.kind, Kind::Number | Kind::Duration) {
            let number = self.number()?;
            let ExprKind::Number { value, is_duration } = number.kind else {
                return Err(self.unexpected(context, wanted));
            };
            if value.abs() > DURATION_MAX_S {
                return Err(self.error(number.span, "duration out of range"));
            }
            DurationKind::Seconds { value, is_duration }
        } else if self.token.is("step") || self.token.is("range") {
            let step = self.advance()?.is("step");
            self.expect("(", context, wanted)?;
            self.expect(")", context, wanted)?;
            if step { DurationKind::Step } else { DurationKind::Range }
        } else if self.token.is("min_of") || self.token.is("max_of") {
            let min = self.advance()?.is("min_of");
            self.expect("(", context, wanted)?;
            let left = Box::new(self.duration(0, context, wanted)?);
            self.expect(",", context, wanted)?;
            let right = Box::new(self.duration(0, context, wanted)?);
            self.expect(")", context, wanted)?;
            if min { DurationKind::MinOf(left, right) } else { DurationKind::MaxOf(left, right) }
        } else if self.token.is("(") {
            self.advance()?;
            let inner = self.duration(0, context, wanted)?;
            self.expect(")", context, wanted)?;
            // Parentheses around parentheses say nothing more.
            if matches!(inner.kind, DurationKind::Paren(_)) { inner.kind } else { DurationKind::Paren(Box::new(inner)) }
        } else {
            return Err(self.unexpected(context, wanted));
        };
        Ok(Duration { kind, span: Span::new(start, self.last_end) })
    }
}

fn modifiers(expr: &mut Expr) -> Option<&mut Modifiers> {
    match &mut expr.kind {
        ExprKind::Selector(selector) => Some(&mut selector.modifiers),
        ExprKind::Range(range) => Some(&mut range.selector.modifiers),
        ExprKind::Subquery(subquery) => Some(&mut subquery.modifiers),
        _ => None,
    }
}
