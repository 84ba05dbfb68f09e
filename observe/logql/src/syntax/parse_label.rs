//! Label filters: `| status >= 400 and (level="error" or took > 1s)`.

use base_signal::MatchOp;

use super::lex::Token;
use super::parse::{Parser, Result};
use super::{BinaryOp, LabelFilter, LabelFilterKind};

impl Parser<'_> {
    /// `or` binds weakest; a comma or mere neighbourhood is `and`.
    pub(super) fn label_filter(&mut self) -> Result<LabelFilter> {
        self.deeper(|p| {
            let mut left = p.label_and()?;
            while p.take_word("or") {
                let right = p.label_and()?;
                left = join(left, right, LabelFilterKind::Or);
            }
            Ok(left)
        })
    }

    fn label_and(&mut self) -> Result<LabelFilter> {
        let mut left = self.label_atom()?;
        loop {
            let joined = self.take_word("and") || self.take_sign(",");
            let neighbour = match self.peek() {
                Token::Ident(word) => word != "or" && word != "unless" && word != "offset",
                Token::Sign("(") => true,
                _ => false,
            };
            if !joined && !neighbour {
                return Ok(left);
            }
            let right = self.label_atom()?;
            left = join(left, right, LabelFilterKind::And);
        }
    }

    fn label_atom(&mut self) -> Result<LabelFilter> {
        let start = self.span();
        if self.take_sign("(") {
            let mut inner = self.label_filter()?;
            self.expect(")")?;
            inner.span = start.to(self.last());
            return Ok(inner);
        }
        let name = self.identifier()?;
        let Token::Sign(sign) = *self.peek() else {
            return Err(self.unexpected(&["=", "=~", "!~", "!=", "==", ">", ">=", "<", "<="]));
        };
        let kind = match (sign, self.peek_after().clone()) {
            ("=" | "!=" | "=~" | "!~", Token::String(value)) => {
                let op = self.match_op().unwrap_or(MatchOp::Equal);
                self.take();
                self.take();
                LabelFilterKind::Match(self.new_matcher(name, op, value)?)
            }
            ("=" | "!=", Token::Ident(word)) if word == "ip" => {
                self.take();
                LabelFilterKind::Ip { name, negative: sign == "!=", range: self.ip()? }
            }
            _ => self.compared(name, sign)?,
        };
        Ok(LabelFilter { span: start.to(self.last()), kind })
    }

    fn compared(&mut self, name: String, sign: &str) -> Result<LabelFilterKind> {
        let op = match sign {
            "=" | "==" => BinaryOp::Equal,
            "!=" => BinaryOp::NotEqual,
            ">" => BinaryOp::Greater,
            ">=" => BinaryOp::GreaterEqual,
            "<" => BinaryOp::Less,
            "<=" => BinaryOp::LessEqual,
            _ => return Err(self.unexpected(&["=", "=~", "!~", "!=", "==", ">", ">=", "<", "<="])),
        };
        self.take();
        let negative = self.is_sign("-") && self.take_sign("-");
        let kind = match *self.peek() {
            Token::Number(number) => {
                LabelFilterKind::Number { name, op, value: if negative { -number } else { number } }
            }
            Token::DurationNs(ns) => LabelFilterKind::Duration { name, op, value_ns: if negative { -ns } else { ns } },
            Token::Bytes(bytes) if !negative => LabelFilterKind::Bytes { name, op, value_bytes: bytes },
            _ => return Err(self.unexpected(&["STRING", "NUMBER", "DURATION", "BYTES"])),
        };
        self.take();
        Ok(kind)
    }
}

fn join(
    left: LabelFilter,
    right: LabelFilter,
    kind: impl FnOnce(Box<LabelFilter>, Box<LabelFilter>) -> LabelFilterKind,
) -> LabelFilter {
    LabelFilter { span: left.span.to(right.span), kind: kind(Box::new(left), Box::new(right)) }
}
