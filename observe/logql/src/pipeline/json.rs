//! JSON lines: every member as a label, or single values by path. A scanner of its own because numbers keep the digits
//! they were written with and half a line still yields what came before the damage.

use std::borrow::Cow;

/// Objects nested deeper than this are refused.
const DEPTH_MAX: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson(pub(super) &'static str);

/// A step of `a.b[0]["c"]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

/// Calls `found(path, value)` for every string, number and bool outside of arrays; members of nested objects carry their
/// path joined by `_`. Nulls and arrays are left out, as in Loki.
pub(super) fn flatten<'a>(text: &'a str, found: &mut dyn FnMut(&str, Cow<'a, str>)) -> Result<(), NotJson> {
    let mut scanner = Scanner { text, at: 0 };
    scanner.space();
    if scanner.peek() != Some(b'{') {
        return Err(NotJson("expected a JSON object"));
    }
    scanner.object(&mut String::new(), 0, found)?;
    scanner.space();
    if scanner.at < text.len() { Err(NotJson("text after the JSON object")) } else { Ok(()) }
}

/// The value at a path as a label shows it: strings without quotes, the rest as it is written. A line that does not even
/// begin as Loki expects JSON to is none.
pub(super) fn find<'a>(text: &'a str, path: &[Step]) -> Result<Option<Cow<'a, str>>, NotJson> {
    if !text.is_empty() && !text.starts_with(['"', '{', '[']) {
        return Err(NotJson("expected a JSON value"));
    }
    let mut scanner = Scanner { text, at: 0 };
    for step in path {
        if !scanner.enter(step)? {
            return Ok(None);
        }
    }
    scanner.space();
    let start = scanner.at;
    match scanner.peek() {
        Some(b'"') => Ok(Some(scanner.string()?)),
        _ => {
            scanner.skip(0)?;
            let raw = text.get(start..scanner.at).unwrap_or_default();
            Ok((raw != "null").then_some(Cow::Borrowed(raw)))
        }
    }
}

/// Reads `a.b[0]["c d"]`; `None` when it is malformed.
pub(super) fn path(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        if let Some(quoted) = rest.strip_prefix("[\"") {
            let (key, tail) = quoted.split_once("\"]")?;
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        } else if let Some(index) = rest.strip_prefix('[') {
            let (index, tail) = index.split_once(']')?;
            steps.push(Step::Index(index.parse().ok()?));
            rest = tail;
        } else {
            let body = if steps.is_empty() { rest } else { rest.strip_prefix('.')? };
            let end = body.find(['.', '[']).unwrap_or(body.len());
            let (key, tail) = body.split_at(end);
            if key.is_empty() {
                return None;
            }
            steps.push(Step::Key(key.to_owned()));
            rest = tail;
        }
    }
    (!steps.is_empty()).then_some(steps)
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Past white space, then `byte` if it is there.
    fn take(&mut self, byte: u8) -> bool {
        self.space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, byte: u8, why: &'static str) -> Result<(), NotJson> {
        if self.take(byte) { Ok(()) } else { Err(NotJson(why)) }
    }

    fn object(
        &mut self,
        prefix: &mut String,
        depth: usize,
        found: &mut dyn FnMut(&str, Cow<'a, str>),
    ) -> Result<(), NotJson> {
        if depth > DEPTH_MAX {
            return Err(NotJson("objects are nested too deep"));
        }
        self.expect(b'{', "expected {")?;
        if self.take(b'}') {
            return Ok(());
        }
        loop {
            self.space();
            let key = self.string()?;
            self.expect(b':', "expected : after a member's name")?;
            self.space();
            let len = prefix.len();
            if len > 0 {
                prefix.push('_');
            }
            prefix.push_str(&key);
            match self.peek() {
                Some(b'{') => self.object(prefix, depth + 1, found)?,
                Some(b'"') => {
                    let value = self.string()?;
                    found(prefix, value);
                }
                Some(b'[') => self.skip(depth)?,
                _ => {
                    let raw = self.scalar()?;
                    if raw != "null" {
                        found(prefix, Cow::Borrowed(raw));
                    }
                }
            }
            prefix.truncate(len);
            if self.take(b'}') {
                return Ok(());
            }
            self.expect(b',', "expected , or } after a member")?;
        }
    }

    /// A number, true, false or null, as written.
    fn scalar(&mut self) -> Result<&'a str, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-.".contains(c))).unwrap_or(rest.len());
        let word = rest.get(..len).unwrap_or_default();
        let number = word.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && word.parse::<f64>().is_ok();
        if !number && !matches!(word, "true" | "false" | "null") {
            return Err(NotJson("expected a value"));
        }
        self.at += len;
        Ok(word)
    }

    fn string(&mut self) -> Result<Cow<'a, str>, NotJson> {
        const UNTERMINATED: NotJson = NotJson("a string has no end");
        if self.peek() != Some(b'"') {
            return Err(NotJson("expected a string"));
        }
        self.at += 1;
        let rest = self.text.get(self.at..).ok_or(UNTERMINATED)?;
        let end = memchr::memchr2(b'"', b'\\', rest.as_bytes()).ok_or(UNTERMINATED)?;
        if rest.as_bytes().get(end) == Some(&b'"') {
            self.at += end + 1;
            return rest.get(..end).map(Cow::Borrowed).ok_or(UNTERMINATED);
        }
        let mut out = String::from(rest.get(..end).unwrap_or_default());
        let mut chars = rest.get(end..).unwrap_or_default().char_indices();
        while let Some((i, c)) = chars.next() {
            match c {
                '"' => {
                    self.at += end + i + 1;
                    return Ok(Cow::Owned(out));
                }
                '\\' => match chars.next().ok_or(UNTERMINATED)?.1 {
                    'b' => out.push('\u{8}'),
                    'f' => out.push('\u{c}'),
                    'n' => out.push('\n'),
                    'r' => out.push('\r'),
                    't' => out.push('\t'),
                    'u' => out.push(unicode(&mut chars)?),
                    other @ ('"' | '\\' | '/') => out.push(other),
                    _ => return Err(NotJson("unknown escape in a string")),
                },
                c => out.push(c),
            }
        }
        Err(UNTERMINATED)
    }

    /// Past one value of any kind.
    fn skip(&mut self, depth: usize) -> Result<(), NotJson> {
        if depth > DEPTH_MAX {
            return Err(NotJson("values are nested too deep"));
        }
        self.space();
        match self.peek() {
            Some(b'"') => self.string().map(|_| ()),
            Some(b'{') => self.object(&mut String::new(), depth + 1, &mut |_, _| {}),
            Some(b'[') => {
                self.at += 1;
                if self.take(b']') {
                    return Ok(());
                }
                loop {
                    self.skip(depth + 1)?;
                    if self.take(b']') {
                        return Ok(());
                    }
                    self.expect(b',', "expected , or ] after an item")?;
                }
            }
            _ => self.scalar().map(|_| ()),
        }
    }

    /// Moves to the member or item; false when there is none.
    fn enter(&mut self, step: &Step) -> Result<bool, NotJson> {
        match step {
            Step::Key(wanted) => {
                if !self.take(b'{') {
                    return Ok(false);
                }
                if self.take(b'}') {
                    return Ok(false);
                }
                loop {
                    self.space();
                    let key = self.string()?;
                    self.expect(b':', "expected : after a member's name")?;
                    if key == wanted.as_str() {
                        return Ok(true);
                    }
                    self.skip(0)?;
                    if !self.take(b',') {
                        return Ok(false);
                    }
                }
            }
            Step::Index(wanted) => {
                if !self.take(b'[') || self.take(b']') {
                    return Ok(false);
                }
                for _ in 0..*wanted {
                    self.skip(0)?;
                    if !self.take(b',') {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
        }
    }
}

fn unicode(chars: &mut std::str::CharIndices<'_>) -> Result<char, NotJson> {
    fn four(chars: &mut std::str::CharIndices<'_>) -> Option<u32> {
        (0..4).try_fold(0, |code, _| Some(code * 16 + chars.next()?.1.to_digit(16)?))
    }
    const BAD: NotJson = NotJson("broken \\u escape in a string");
    let code = four(chars).ok_or(BAD)?;
    if !(0xd800..0xe000).contains(&code) {
        return char::from_u32(code).ok_or(BAD);
    }
    // A pair of surrogates; a lone one has no meaning and becomes the replacement character.
    let mut ahead = chars.clone();
    let escaped = ahead.next().map(|(_, c)| c) == Some('\\') && ahead.next().map(|(_, c)| c) == Some('u');
    let low = if escaped { four(&mut ahead) } else { None };
    if let Some(low) = low.filter(|low| code < 0xdc00 && (0xdc00..0xe000).contains(low)) {
        *chars = ahead;
        return char::from_u32(0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)).ok_or(BAD);
    }
    Ok('\u{fffd}')
}
