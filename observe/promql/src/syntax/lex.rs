//! Text to tokens. The rules depend on where we are: inside braces every word is a label, inside brackets only durations
//! and their arithmetic are allowed. Knows nothing of the grammar above that.

use super::error::{ParseError, Span};
use super::text::quote;
use super::token::{Kind, Token, keyword};

pub(crate) struct Lexer<'q> {
    query: &'q str,
    pos: usize,
    start: usize,
    parens_open: usize,
    in_braces: bool,
    in_brackets: bool,
    /// Right after `[` or within duration arithmetic, where words other than `step` and the like are refused at once.
    in_duration: bool,
    colon_seen: bool,
    duration_seen: bool,
}

impl<'q> Lexer<'q> {
    pub(crate) fn new(query: &'q str) -> Self {
        Lexer {
            query,
            pos: 0,
            start: 0,
            parens_open: 0,
            in_braces: false,
            in_brackets: false,
            in_duration: false,
            colon_seen: false,
            duration_seen: false,
        }
    }

    /// The next token; `Eof` again and again at the end.
    pub(crate) fn next(&mut self) -> Result<Token<'q>, ParseError> {
        self.skip_spaces_and_comments();
        self.start = self.pos;
        let token = if self.in_braces {
            self.inside_braces()
        } else if self.in_duration {
            self.inside_duration()
        } else {
            self.statement()
        };
        token.map_err(|message| ParseError::at(self.query, Span::new(self.start, self.query.len()), message))
    }

    fn rest(&self) -> &'q str {
        self.query.get(self.pos..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.pos += c.len_utf8();
        Some(c)
    }

    fn eat(&mut self, wanted: char) -> bool {
        let found = self.peek() == Some(wanted);
        if found {
            self.pos += wanted.len_utf8();
        }
        found
    }

    fn eat_while(&mut self, fits: impl Fn(char) -> bool) -> usize {
        let before = self.pos;
        while self.peek().is_some_and(&fits) {
            self.bump();
        }
        self.pos - before
    }

    fn emit(&self, kind: Kind) -> Result<Token<'q>, String> {
        let text = self.query.get(self.start..self.pos).unwrap_or_default();
        Ok(Token { kind, text, span: Span::new(self.start, self.pos) })
    }

    fn skip_spaces_and_comments(&mut self) {
        loop {
            self.eat_while(is_space);
            // In a duration a comment can only follow the first number.
            if self.in_duration || !self.rest().starts_with('#') {
                return;
            }
            self.eat_while(|c| c != '\n' && c != '\r');
        }
    }

    fn statement(&mut self) -> Result<Token<'q>, String> {
        let Some(c) = self.bump() else {
            if self.parens_open > 0 {
                return Err("unclosed left parenthesis".to_owned());
            }
            if self.in_brackets {
                return Err("unclosed left bracket".to_owned());
            }
            return self.emit(Kind::Eof);
        };
        match c {
            ',' => self.emit(Kind::Punctuation),
            '*' | '/' | '%' | '+' | '-' | '^' | '@' => self.emit(Kind::Operator),
            '=' if self.eat('=') => self.emit(Kind::Operator),
            '=' if self.peek() == Some('~') => Err("unexpected character after '=': '~'".to_owned()),
            '=' => self.emit(Kind::Punctuation),
            '!' if self.eat('=') => self.emit(Kind::Operator),
            '!' => Err(format!("unexpected character after '!': {}", quoted_char(self.peek()))),
            '<' | '>' => {
                let _ = self.eat('=') || self.eat('/');
                self.emit(Kind::Operator)
            }
            '0'..='9' => self.number_or_duration(c),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number_or_duration(c),
            '"' | '\'' => self.string(c),
            '`' => self.raw_string(),
            ':' if self.in_brackets => {
                if self.colon_seen {
                    return Err("unexpected colon ':'".to_owned());
                }
                self.colon_seen = true;
                self.emit(Kind::Punctuation)
            }
            c if self.in_brackets && is_alpha(c) => match self.duration_word(c) {
                true => self.emit(Kind::Preprocessor),
                false => Err(format!("unexpected character: {}, expected ':'", quoted_char(Some(c)))),
            },
            c if is_alpha(c) || c == ':' => self.word(),
            '(' | ')' => self.parenthesis(c),
            '{' => {
                self.in_braces = true;
                self.emit(Kind::Punctuation)
            }
            '[' if self.in_brackets => Err("unexpected left bracket '['".to_owned()),
            '[' => {
                self.colon_seen = false;
                self.in_brackets = true;
                self.in_duration = true;
                self.emit(Kind::Punctuation)
            }
            ']' if !self.in_brackets => Err("unexpected right bracket ']'".to_owned()),
            ']' => {
                self.in_brackets = false;
                self.emit(Kind::Punctuation)
            }
            c => Err(format!("unexpected character: {}", quoted_char(Some(c)))),
        }
    }

    fn parenthesis(&mut self, c: char) -> Result<Token<'q>, String> {
        if c == '(' {
            self.parens_open += 1;
            return self.emit(Kind::Punctuation);
        }
        let Some(left) = self.parens_open.checked_sub(1) else {
            // Prometheus points behind the parenthesis here.
            self.start = self.pos;
            return Err("unexpected right parenthesis ')'".to_owned());
        };
        self.parens_open = left;
        self.emit(Kind::Punctuation)
    }

    fn inside_duration(&mut self) -> Result<Token<'q>, String> {
        let Some(c) = self.bump() else {
            return Err("unexpected end of input in duration expression".to_owned());
        };
        match c {
            ']' => {
                self.in_brackets = false;
                self.in_duration = false;
                self.colon_seen = false;
                self.emit(Kind::Punctuation)
            }
            ':' => {
                let problem = match (self.duration_seen, self.colon_seen) {
                    (false, _) => Some("unexpected colon before duration in duration expression"),
                    (true, true) => Some("unexpected repeated colon in duration expression"),
                    (true, false) => None,
                };
                if let Some(problem) = problem {
                    self.start = self.pos;
                    return Err(problem.to_owned());
                }
                self.colon_seen = true;
                self.emit(Kind::Punctuation)
            }
            '(' | ')' => self.parenthesis(c),
            ',' => self.emit(Kind::Punctuation),
            '+' | '-' | '*' | '/' | '%' | '^' => self.emit(Kind::Operator),
            '0'..='9' => self.first_duration(c),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.first_duration(c),
            c if self.duration_word(c) => self.emit(Kind::Preprocessor),
            c => Err(format!("unexpected character in duration expression: {}", quoted_char(Some(c)))),
        }
    }

    fn first_duration(&mut self, c: char) -> Result<Token<'q>, String> {
        self.duration_seen = true;
        self.in_duration = false;
        self.number_or_duration(c)
    }

    /// Whether `step`, `range`, `max_of` or `min_of` starts with this character, which has been read.
    fn duration_word(&mut self, first: char) -> bool {
        if !matches!(first.to_ascii_lowercase(), 's' | 'r' | 'm') {
            return false;
        }
        self.eat_while(is_alpha);
        let word = self.query.get(self.start..self.pos).unwrap_or_default().to_ascii_lowercase();
        matches!(word.as_str(), "step" | "range" | "max_of" | "min_of")
    }

    fn inside_braces(&mut self) -> Result<Token<'q>, String> {
        let Some(c) = self.bump() else {
            return Err("unexpected end of input inside braces".to_owned());
        };
        match c {
            c if is_alpha(c) => {
                self.eat_while(is_alphanumeric);
                self.emit(Kind::Identifier)
            }
            ',' => self.emit(Kind::Punctuation),
            '"' | '\'' => self.string(c),
            '`' => self.raw_string(),
            '=' if self.eat('~') => self.emit(Kind::Operator),
            '=' => self.emit(Kind::Punctuation),
            '!' if self.eat('~') || self.eat('=') => self.emit(Kind::Operator),
            '!' => Err(format!("unexpected character after '!' inside braces: {}", quoted_char(self.peek()))),
            '{' => Err("unexpected left brace '{'".to_owned()),
            '}' => {
                self.in_braces = false;
                self.emit(Kind::Punctuation)
            }
            c => Err(format!("unexpected character inside braces: {}", quoted_char(Some(c)))),
        }
    }

    fn word(&mut self) -> Result<Token<'q>, String> {
        self.eat_while(|c| is_alphanumeric(c) || c == ':');
        let word = self.query.get(self.start..self.pos).unwrap_or_default();
        let lower = word.to_ascii_lowercase();
        let fill = matches!(lower.as_str(), "fill" | "fill_left" | "fill_right");
        // `fill` came late: it is a keyword only where it can be nothing else, so that a metric may keep the name.
        if fill && !self.rest().trim_start_matches(is_space).starts_with('(') {
            return self.emit(Kind::Identifier);
        }
        match keyword(word) {
            Some(kind) => self.emit(kind),
            None if word.contains(':') => self.emit(Kind::MetricIdentifier),
            None => self.emit(Kind::Identifier),
        }
    }

    fn string(&mut self, quote: char) -> Result<Token<'q>, String> {
        loop {
            match self.bump() {
                Some('\\') => self.escape(quote)?,
                None | Some('\n') => return Err("unterminated quoted string".to_owned()),
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some(c) if c == quote => return self.emit(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn raw_string(&mut self) -> Result<Token<'q>, String> {
        loop {
            match self.bump() {
                None => return Err("unterminated raw string".to_owned()),
                Some('\u{fffd}') => return Err("invalid UTF-8 rune".to_owned()),
                Some('`') => return self.emit(Kind::String),
                Some(_) => {}
            }
        }
    }

    fn escape(&mut self, quote: char) -> Result<(), String> {
        const UNTERMINATED: &str = "escape sequence not terminated";
        let (mut code, count, radix, max) = match self.bump() {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some(c @ '0'..='7') => (c as u32 - '0' as u32, 2, 8, 255),
            Some('x') => (0, 2, 16, 255),
            Some('u') => (0, 4, 16, char::MAX as u32),
            Some('U') => (0, 8, 16, char::MAX as u32),
            None => return Err(UNTERMINATED.to_owned()),
            Some(other) => return Err(format!("unknown escape sequence {}", unicode_name(other))),
        };
        for _ in 0..count {
            let c = self.bump().ok_or(UNTERMINATED)?;
            let digit = c.to_digit(radix);
            let digit = digit.ok_or_else(|| format!("illegal character {} in escape sequence", unicode_name(c)))?;
            code = code.wrapping_mul(radix).wrapping_add(digit);
        }
        if code > max || (0xD800..0xE000).contains(&code) {
            return Err("escape sequence is an invalid Unicode code point".to_owned());
        }
        Ok(())
    }

    /// The first character has been read.
    fn number_or_duration(&mut self, _first: char) -> Result<Token<'q>, String> {
        self.pos = self.start;
        if self.number() {
            return self.emit(Kind::Number);
        }
        if self.remaining_duration() {
            return self.emit(Kind::Duration);
        }
        let text = self.query.get(self.start..self.pos).unwrap_or_default();
        Err(format!("bad number or duration syntax: {}", quote(text)))
    }

    fn eat_any(&mut self, set: &str) -> bool {
        let found = self.peek().is_some_and(|c| set.contains(c));
        if found {
            self.bump();
        }
        found
    }

    /// Reads a number as far as it goes; false when something follows that cannot.
    fn number(&mut self) -> bool {
        let begin = self.pos;
        let mut digits = "0123456789";
        let mut hexadecimal = false;
        if self.eat_any("0") && self.eat_any("xX") {
            self.eat_any("_");
            digits = "0123456789abcdefABCDEF";
            hexadecimal = true;
        }
        self.eat_any(".");
        self.eat_any(digits);
        let (mut dot, mut exponent) = (false, false);
        while let Some(c) = self.peek().filter(|c| digits.contains(*c) || "._eE".contains(*c)) {
            match c {
                '.' => {
                    self.bump();
                    if dot || self.eat_any("_.") || hexadecimal {
                        return false;
                    }
                    dot = true;
                }
                'e' | 'E' if exponent || !hexadecimal => {
                    self.bump();
                    if exponent {
                        return false;
                    }
                    exponent = true;
                    self.eat_any("+-");
                    if self.eat_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                '_' => {
                    self.bump();
                    if self.eat_any("._eE") || self.peek().is_none() {
                        return false;
                    }
                }
                _ => {
                    self.eat_while(|c| digits.contains(c));
                }
            }
        }
        self.pos != begin && !self.peek().is_some_and(is_alphanumeric)
    }

    /// The units of a duration whose first digits have been read.
    fn remaining_duration(&mut self) -> bool {
        if !self.eat_any("smhdwy") {
            return false;
        }
        self.eat_any("s");
        while self.eat_while(|c| c.is_ascii_digit()) > 0 {
            if !self.eat_any("smhdw") {
                return false;
            }
            self.eat_any("s");
        }
        if self.peek().is_some_and(is_alphanumeric) {
            self.bump();
            return false;
        }
        true
    }
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

fn is_alpha(c: char) -> bool {
    c == '_' || c.is_ascii_alphabetic()
}

fn is_alphanumeric(c: char) -> bool {
    is_alpha(c) || c.is_ascii_digit()
}

/// As Go's `%q` of a rune; the end of the text is the replacement character there.
fn quoted_char(c: Option<char>) -> String {
    match c {
        None => "'\u{fffd}'".to_owned(),
        Some('\'') => "'\\''".to_owned(),
        Some('"') => "'\"'".to_owned(),
        Some(c) => format!("'{}'", quote(&c.to_string()).trim_matches('"')),
    }
}

/// As Go's `%#U`.
fn unicode_name(c: char) -> String {
    if c.is_control() { format!("U+{:04X}", c as u32) } else { format!("U+{:04X} '{c}'", c as u32) }
}
