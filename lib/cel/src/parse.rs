//! Tokens to a tree, with a limit on how deep it nests. Knows no type and no function.

use crate::ast::{Expr, Kind};
use crate::error::CompileError;
use crate::macros;
use crate::token::{Token, tokens};
use crate::value::Value;

/// cel-go's limit, in characters.
const TEXT_MAX: usize = 100_000;
/// Of what is written inside each other; an evaluation goes as deep.
const DEPTH_MAX: usize = 100;
/// As `self` cannot be a keyword, these cannot be names.
const RESERVED: &[&str] = &[
    "as",
    "break",
    "const",
    "continue",
    "else",
    "false",
    "for",
    "function",
    "if",
    "import",
    "in",
    "let",
    "loop",
    "package",
    "namespace",
    "null",
    "return",
    "true",
    "var",
    "void",
    "while",
];

pub(crate) enum Fault {
    At(usize, String),
    Limit(String),
}

impl Fault {
    pub(crate) fn at(at: usize, what: impl Into<String>) -> Self {
        Fault::At(at, what.into())
    }

    /// With the line and column in the text.
    pub(crate) fn told(self, text: &str) -> CompileError {
        match self {
            Fault::Limit(what) => CompileError::Limit(what),
            Fault::At(at, what) => {
                let before = text.get(..at).unwrap_or(text);
                let line = before.matches('\n').count() + 1;
                let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
                CompileError::Wrong { line, column, what }
            }
        }
    }
}

pub(crate) type Parsed = Result<Expr, Fault>;

pub(crate) fn parse(text: &str) -> Parsed {
    if text.len() > TEXT_MAX {
        return Err(Fault::Limit(format!("{} bytes of text; {TEXT_MAX} are taken", text.len())));
    }
    let tokens = tokens(text).map_err(|(at, what)| Fault::at(at, what))?;
    let mut parser = Parser { tokens, next: 0, depth: 0 };
    let expr = parser.expr()?;
    match parser.peek() {
        Token::End => Ok(expr),
        other => Err(Fault::at(parser.at(), format!("Syntax error: unexpected {}", shown(other)))),
    }
}

struct Parser {
    tokens: Vec<(usize, Token)>,
    next: usize,
    depth: usize,
}

/// How tight an operator with two sides binds; all are left-associative.
fn binding(sign: &str) -> Option<(u8, &'static str)> {
    Some(match sign {
        "<" => (1, "_<_"),
        "<=" => (1, "_<=_"),
        ">" => (1, "_>_"),
        ">=" => (1, "_>=_"),
        "==" => (1, "_==_"),
        "!=" => (1, "_!=_"),
        "in" => (1, "@in"),
        "+" => (2, "_+_"),
        "-" => (2, "_-_"),
        "*" => (3, "_*_"),
        "/" => (3, "_/_"),
        "%" => (3, "_%_"),
        _ => return None,
    })
}

impl Parser {
    fn peek(&self) -> &Token {
        self.tokens.get(self.next).map_or(&Token::End, |(_, token)| token)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(0, |(at, _)| *at)
    }

    fn take(&mut self) -> Token {
        let token = self.peek().clone();
        self.next += 1;
        token
    }

    fn is(&self, sign: &str) -> bool {
        matches!(self.peek(), Token::Sign(found) if *found == sign)
    }

    fn eat(&mut self, sign: &str) -> bool {
        let there = self.is(sign);
        self.next += usize::from(there);
        there
    }

    fn want(&mut self, sign: &str) -> Result<(), Fault> {
        if self.eat(sign) {
            return Ok(());
        }
        let what = format!("Syntax error: mismatched input {} expecting '{sign}'", shown(self.peek()));
        Err(Fault::at(self.at(), what))
    }

    fn deeper(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::Limit(format!("nested deeper than {DEPTH_MAX}")));
        }
        Ok(())
    }

    fn expr(&mut self) -> Parsed {
        self.deeper()?;
        let either = self.either()?;
        let at = self.at();
        let expr = if self.eat("?") {
            let yes = self.either()?;
            self.want(":")?;
            let no = self.expr()?;
            Expr::new(at, Kind::If(Box::new([either, yes, no])))
        } else {
            either
        };
        self.depth -= 1;
        Ok(expr)
    }

    fn either(&mut self) -> Parsed {
        let at = self.at();
        let mut all = vec![self.both()?];
        while self.eat("||") {
            all.push(self.both()?);
        }
        Ok(if all.len() > 1 { Expr::new(at, Kind::Or(all)) } else { all.remove(0) })
    }

    fn both(&mut self) -> Parsed {
        let at = self.at();
        let mut all = vec![self.binary(1)?];
        while self.eat("&&") {
            all.push(self.binary(1)?);
        }
        Ok(if all.len() > 1 { Expr::new(at, Kind::And(all)) } else { all.remove(0) })
    }

    fn binary(&mut self, least: u8) -> Parsed {
        let mut left = self.unary()?;
        let before = self.depth;
        loop {
            let sign = match self.peek() {
                Token::Sign(sign) => *sign,
                Token::Name(name) if name == "in" => "in",
                _ => break,
            };
            let Some((tight, name)) = binding(sign).filter(|(tight, _)| *tight >= least) else { break };
            let at = self.at();
            self.next += 1;
            let right = self.binary(tight + 1)?;
            // Each step to the right is a level of the tree.
            self.deeper()?;
            left = Expr::call(at, name, None, vec![left, right]);
        }
        self.depth = before;
        Ok(left)
    }

    fn unary(&mut self) -> Parsed {
        let at = self.at();
        let mut count = 0_usize;
        if self.is("!") {
            while self.eat("!") {
                count += 1;
            }
            let inner = self.member()?;
            return Ok(if count % 2 == 1 { Expr::call(at, "!_", None, vec![inner]) } else { inner });
        }
        while self.eat("-") {
            count += 1;
        }
        // The sign belongs to the number: there is no positive 2^63.
        let literal = match (count % 2 == 1, self.peek()) {
            (true, Token::Int(digits)) => Some(int(&format!("-{digits}"), self.at())?),
            (true, Token::Double(value)) => Some(Value::Double(-value)),
            _ => None,
        };
        if let Some(value) = literal {
            self.next += 1;
            return self.tail(Expr::new(at, Kind::Literal(value)));
        }
        let inner = self.member()?;
        Ok(if count % 2 == 1 { Expr::call(at, "-_", None, vec![inner]) } else { inner })
    }

    fn member(&mut self) -> Parsed {
        let first = self.primary()?;
        self.tail(first)
    }

    fn tail(&mut self, mut left: Expr) -> Parsed {
        let before = self.depth;
        loop {
            let at = self.at();
            if self.eat(".") {
                let optional = self.eat("?");
                let (name, plain) = match self.take() {
                    Token::Name(name) => (name, true),
                    Token::Quoted(name) => (name, false),
                    other => {
                        let what = format!("Syntax error: no viable alternative at input '.{}'", bare(&other));
                        return Err(Fault::at(at, what));
                    }
                };
                if plain && !optional && self.is("(") {
                    let call_at = self.at();
                    self.next += 1;
                    let args = self.args(")")?;
                    left = macros::member(call_at, left, &name, args)?;
                } else {
                    left = Expr::new(at, Kind::Select { of: Box::new(left), field: name.into(), optional });
                }
            } else if self.eat("[") {
                let optional = self.eat("?");
                let key = Box::new(self.expr()?);
                self.want("]")?;
                left = Expr::new(at, Kind::Index { of: Box::new(left), key, optional });
            } else if let (true, Some(name)) = (self.is("{"), left.dotted()) {
                return Err(Fault::Limit(format!("it makes a message of the type `{name}`")));
            } else {
                self.depth = before;
                return Ok(left);
            }
            self.deeper()?;
        }
    }

    /// Up to the closing sign.
    fn args(&mut self, close: &str) -> Result<Vec<Expr>, Fault> {
        let mut args = Vec::new();
        if self.eat(close) {
            return Ok(args);
        }
        loop {
            args.push(self.expr()?);
            if !self.eat(",") {
                self.want(close)?;
                return Ok(args);
            }
        }
    }

    fn primary(&mut self) -> Parsed {
        let at = self.at();
        let value = match self.take() {
            Token::Int(digits) => int(&digits, at)?,
            Token::Uint(value) => Value::Uint(value),
            Token::Double(value) => Value::Double(value),
            Token::Text(text) => Value::from(text),
            Token::Bytes(bytes) => Value::Bytes(bytes.into()),
            Token::Name(name) => match name.as_str() {
                "true" => Value::Bool(true),
                "false" => Value::Bool(false),
                "null" => Value::Null,
                _ => return self.named(at, &name),
            },
            Token::Sign("(") => {
                let inner = self.expr()?;
                self.want(")")?;
                return Ok(inner);
            }
            Token::Sign("[") => return self.list(at),
            Token::Sign("{") => return self.map(at),
            Token::Sign(".") => match self.take() {
                Token::Name(name) => return self.named(at, &name),
                other => return Err(Fault::at(at, format!("Syntax error: unexpected {}", shown(&other)))),
            },
            other => return Err(Fault::at(at, format!("Syntax error: mismatched input {}", shown(&other)))),
        };
        Ok(Expr::new(at, Kind::Literal(value)))
    }

    fn named(&mut self, at: usize, name: &str) -> Parsed {
        if RESERVED.contains(&name) {
            return Err(Fault::at(at, format!("reserved identifier: {name}")));
        }
        if self.is("(") {
            let call_at = self.at();
            self.next += 1;
            let args = self.args(")")?;
            return macros::global(call_at, name, args);
        }
        if self.is("{") {
            return Err(Fault::Limit(format!("it makes a message of the type `{name}`")));
        }
        Ok(Expr::new(at, Kind::Ident(name.into())))
    }

    fn list(&mut self, at: usize) -> Parsed {
        let mut items = Vec::new();
        while !self.eat("]") {
            let optional = self.eat("?");
            items.push((optional, self.expr()?));
            if !self.eat(",") {
                self.want("]")?;
                break;
            }
        }
        Ok(Expr::new(at, Kind::List(items)))
    }

    fn map(&mut self, at: usize) -> Parsed {
        let mut pairs = Vec::new();
        while !self.eat("}") {
            let optional = self.eat("?");
            let key = self.expr()?;
            self.want(":")?;
            pairs.push((optional, key, self.expr()?));
            if !self.eat(",") {
                self.want("}")?;
                break;
            }
        }
        Ok(Expr::new(at, Kind::Map(pairs)))
    }
}

fn int(text: &str, at: usize) -> Result<Value, Fault> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (radix, digits) = digits.strip_prefix("0x").map_or((10, digits), |hex| (16, hex));
    let value = i128::from_str_radix(digits, radix).ok().map(|value| if negative { -value } else { value });
    match value.and_then(|value| i64::try_from(value).ok()) {
        Some(value) => Ok(Value::Int(value)),
        None => Err(Fault::at(at, "invalid int literal")),
    }
}

fn bare(token: &Token) -> String {
    match token {
        Token::Name(text) | Token::Quoted(text) | Token::Int(text) | Token::Text(text) => text.clone(),
        Token::Sign(sign) => (*sign).to_owned(),
        Token::Uint(value) => value.to_string(),
        Token::Double(value) => value.to_string(),
        Token::Bytes(_) => "bytes".to_owned(),
        Token::End => "<EOF>".to_owned(),
    }
}

fn shown(token: &Token) -> String {
    format!("'{}'", bare(token)).replace("'<EOF>'", "the end")
}
