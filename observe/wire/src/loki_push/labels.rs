//! The text form of a stream's labels: `{app="shop", env="prod"}`. Knows names, quotes and escapes, nothing else.

/// Why a text is not a label set, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("labels {text:?}: {expected} expected at byte {at}")]
pub struct LabelSyntaxError {
    pub text: String,
    pub at: usize,
    pub expected: &'static str,
}

/// Whether Prometheus's classic form of a label name holds: letters, digits and `_`, not a digit first.
pub(super) fn is_name(name: &str) -> bool {
    let first = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Parses `{name="value", …}`; values are quoted with `"` (Go's escapes) or with backquotes (as they are).
pub fn parse_labels(text: &str) -> Result<Vec<(String, String)>, LabelSyntaxError> {
    let mut parser = Parser { text, at: 0 };
    parser.space();
    parser.expect("{", "`{`")?;
    let mut labels = Vec::new();
    loop {
        parser.space();
        if parser.eat("}") {
            break;
        }
        let name = parser.name()?;
        parser.space();
        parser.expect("=", "`=`")?;
        parser.space();
        let value = parser.quoted()?;
        labels.push((name.to_owned(), value));
        parser.space();
        if !parser.eat(",") {
            parser.expect("}", "`,` or `}`")?;
            break;
        }
    }
    parser.space();
    if parser.at < text.len() { Err(parser.error("the end")) } else { Ok(labels) }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn error(&self, expected: &'static str) -> LabelSyntaxError {
        LabelSyntaxError { text: self.text.chars().take(200).collect(), at: self.at, expected }
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn expect(&mut self, token: &str, expected: &'static str) -> Result<(), LabelSyntaxError> {
        if self.eat(token) { Ok(()) } else { Err(self.error(expected)) }
    }

    fn name(&mut self) -> Result<&'a str, LabelSyntaxError> {
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let name = rest.get(..end).filter(|name| is_name(name)).ok_or_else(|| self.error("a label name"))?;
        self.at += end;
        Ok(name)
    }

    fn quoted(&mut self) -> Result<String, LabelSyntaxError> {
        if self.eat("`") {
            let end = self.rest().find('`').ok_or_else(|| self.error("a closing backquote"))?;
            let value = self.rest().get(..end).unwrap_or_default().to_owned();
            self.at += end + 1;
            return Ok(value);
        }
        self.expect("\"", "a quoted value")?;
        let mut value = String::new();
        loop {
            let c = self.rest().chars().next().ok_or_else(|| self.error("a closing quote"))?;
            let start = self.at;
            self.at += c.len_utf8();
            match c {
                '"' => return Ok(value),
                '\\' => match self.escape() {
                    Some(c) => value.push(c),
                    None => {
                        self.at = start;
                        return Err(self.error("an escape such as \\n, \\\", \\\\ or \\u00e9"));
                    }
                },
                c => value.push(c),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        let c = self.rest().chars().next()?;
        self.at += c.len_utf8();
        Some(match c {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'a' => '\x07',
            'b' => '\x08',
            'f' => '\x0c',
            'v' => '\x0b',
            '"' | '\\' | '\'' => c,
            'x' => return self.code(2),
            'u' => return self.code(4),
            'U' => return self.code(8),
            _ => return None,
        })
    }

    /// So many hexadecimal digits. `\x` makes a byte in Go; only the ASCII half of those is a character by itself.
    fn code(&mut self, digits: usize) -> Option<char> {
        let text = self.rest().get(..digits).filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
        self.at += digits;
        let number = u32::from_str_radix(text, 16).ok()?;
        if digits == 2 && number > 0x7f { None } else { char::from_u32(number) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: Result<&[(&str, &str)], &str>) {
        let found = parse_labels(text).map_err(|e| e.to_string());
        let expect =
            expect.map(|pairs| pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect::<Vec<_>>());
        assert_eq!(found, expect.map_err(str::to_owned), "{text}");
    }

    #[test]
    fn label_texts() {
        check("{}", Ok(&[]));
        check(r#"{app="shop"}"#, Ok(&[("app", "shop")]));
        check(" { a = \"1\" , b=`x\\y`, } ", Ok(&[("a", "1"), ("b", "x\\y")]));
        check(r#"{a="q\"\n\u00e9\\é"}"#, Ok(&[("a", "q\"\né\\é")]));
        check(r#"{a="\t\r\a\b\f\v\x41\U0001f600\'"}"#, Ok(&[("a", "\t\r\x07\x08\x0c\x0bA😀'")]));
        let escape = "an escape such as \\n, \\\", \\\\ or \\u00e9 expected at byte 4";
        for broken in [r"\xff", r"\u00g0", r"\ud800"] {
            let text = format!("{{a=\"{broken}\"}}");
            check(&text, Err(&format!("labels {text:?}: {escape}")));
        }
        check(r#"{a="x}"#, Err(r#"labels "{a=\"x}": a closing quote expected at byte 6"#));
        check(r#"{a="\q"}"#, Err(r#"labels "{a=\"\\q\"}": an escape such as \n, \", \\ or \u00e9 expected at byte 4"#));
        check("{1a=\"x\"}", Err(r#"labels "{1a=\"x\"}": a label name expected at byte 1"#));
        check("{a=\"x\" b=\"y\"}", Err(r#"labels "{a=\"x\" b=\"y\"}": `,` or `}` expected at byte 7"#));
        check("{a=\"x\"} x", Err(r#"labels "{a=\"x\"} x": the end expected at byte 8"#));
        check("", Err(r#"labels "": `{` expected at byte 0"#));
    }
}
