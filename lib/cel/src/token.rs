//! Text to tokens: names, numbers, strings with their escapes, signs. Knows no grammar. <https://github.com/google/cel-spec/blob/master/doc/langdef.md#syntax>

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Token {
    Name(String),
    /// `` `a-b` ``, only after a dot.
    Quoted(String),
    Int(String),
    Uint(u64),
    Double(f64),
    Text(String),
    Bytes(Vec<u8>),
    Sign(&'static str),
    End,
}

/// Longest first.
const SIGNS: &[&str] = &[
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "+", "-", "*", "/", "%", "?", ":", ".", ",", "(", ")", "[", "]",
    "{", "}",
];

/// All tokens with the byte where each begins; or the byte of what is none, and why.
pub(crate) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, (usize, String)> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let first = rest.chars().next().unwrap_or(' ');
        if matches!(first, ' ' | '\t' | '\n' | '\r' | '\u{c}') {
            at += 1;
        } else if rest.starts_with("//") {
            at += rest.find('\n').unwrap_or(rest.len());
        } else {
            let (token, len) = one(rest, first).map_err(|(more, what)| (at + more, what))?;
            out.push((at, token));
            at += len;
        }
    }
    out.push((text.len(), Token::End));
    Ok(out)
}

type Lexed = Result<(Token, usize), (usize, String)>;

fn one(rest: &str, first: char) -> Lexed {
    if let Some(found) = quoted(rest) {
        return found;
    }
    if first.is_ascii_digit() || first == '.' && rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
        return number(rest);
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Token::Name(rest.get(..len).unwrap_or(rest).to_owned()), len));
    }
    if first == '`' {
        let end = rest.get(1..).and_then(|inner| inner.find('`')).ok_or((0, "a name in ` has no end".to_owned()))?;
        return Ok((Token::Quoted(rest.get(1..=end).unwrap_or("").to_owned()), end + 2));
    }
    match SIGNS.iter().find(|sign| rest.starts_with(**sign)) {
        Some(sign) => Ok((Token::Sign(sign), sign.len())),
        None => Err((0, format!("Syntax error: token recognition error at: '{first}'"))),
    }
}

fn number(rest: &str) -> Lexed {
    if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
        let len = hex.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(hex.len());
        let digits = hex.get(..len).unwrap_or("");
        if hex.get(len..).is_some_and(|tail| tail.starts_with(['u', 'U'])) {
            let value = u64::from_str_radix(digits, 16).map_err(|_| (0, "invalid uint literal".to_owned()))?;
            return Ok((Token::Uint(value), len + 3));
        }
        return Ok((Token::Int(format!("0x{digits}")), len + 2));
    }
    let digits = |from: usize| {
        let tail = rest.get(from..).unwrap_or("");
        from + tail.find(|c: char| !c.is_ascii_digit()).unwrap_or(tail.len())
    };
    let whole = digits(0);
    let mut end = whole;
    if rest.get(end..).is_some_and(|tail| tail.starts_with('.')) && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    if rest.get(end..).is_some_and(|tail| tail.starts_with(['e', 'E'])) {
        let sign = usize::from(rest.get(end + 1..).is_some_and(|tail| tail.starts_with(['+', '-'])));
        if digits(end + 1 + sign) > end + 1 + sign {
            end = digits(end + 1 + sign);
        }
    }
    let text = rest.get(..end).unwrap_or("0");
    if end > whole {
        let value: f64 = text.parse().map_err(|_| (0, "invalid double literal".to_owned()))?;
        return Ok((Token::Double(value), end));
    }
    if rest.get(end..).is_some_and(|tail| tail.starts_with(['u', 'U'])) {
        let value = text.parse().map_err(|_| (0, "invalid uint literal".to_owned()))?;
        return Ok((Token::Uint(value), end + 1));
    }
    Ok((Token::Int(text.to_owned()), end))
}

/// A string or bytes literal, if one begins here.
fn quoted(rest: &str) -> Option<Lexed> {
    let mut start = 0;
    let (mut raw, mut bytes) = (false, false);
    for c in rest.chars().take(2) {
        match c {
            'r' | 'R' if !raw => raw = true,
            'b' | 'B' if !bytes => bytes = true,
            _ => break,
        }
        start += 1;
    }
    let body = rest.get(start..)?;
    let fence = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|fence| body.starts_with(fence))?;
    let mut at = fence.len();
    let end = loop {
        let tail = body.get(at..)?;
        if tail.starts_with(fence) {
            break at;
        }
        let Some(c) = tail.chars().next() else {
            return Some(Err((0, "Syntax error: a string has no end".to_owned())));
        };
        if c == '\n' && fence.len() == 1 {
            return Some(Err((0, "Syntax error: a string has no end on its line".to_owned())));
        }
        at += c.len_utf8();
        if c == '\\' && !raw {
            at += body.get(at..).and_then(|more| more.chars().next()).map_or(0, char::len_utf8);
        }
    };
    let len = start + end + fence.len();
    let inner = body.get(fence.len()..end)?;
    let unescaped = if raw { Ok(inner.as_bytes().to_vec()) } else { unescape(inner, bytes) };
    Some(unescaped.map_err(|what| (0, what)).and_then(|value| {
        if bytes {
            return Ok((Token::Bytes(value), len));
        }
        let text = String::from_utf8(value).map_err(|_| (0, "a string is not Unicode".to_owned()))?;
        Ok((Token::Text(text), len))
    }))
}

fn unescape(inner: &str, bytes: bool) -> Result<Vec<u8>, String> {
    let mut out = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            continue;
        }
        let escape = chars.next().unwrap_or(' ');
        let plain = match escape {
            'a' => Some(7),
            'b' => Some(8),
            'f' => Some(12),
            'n' => Some(b'\n'),
            'r' => Some(b'\r'),
            't' => Some(b'\t'),
            'v' => Some(11),
            '\\' | '\'' | '"' | '`' | '?' => u8::try_from(u32::from(escape)).ok(),
            _ => None,
        };
        if let Some(byte) = plain {
            out.push(byte);
            continue;
        }
        let (count, radix, already) = match escape {
            'x' | 'X' => (2, 16, String::new()),
            'u' if !bytes => (4, 16, String::new()),
            'U' if !bytes => (8, 16, String::new()),
            '0'..='3' => (2, 8, escape.to_string()),
            _ => return Err(format!("unable to unescape string: \\{escape}")),
        };
        let digits: String = already.chars().chain(chars.by_ref().take(count)).collect();
        let code = u32::from_str_radix(&digits, radix).map_err(|_| format!("unable to unescape string: \\{digits}"))?;
        if bytes {
            out.push(u8::try_from(code).map_err(|_| format!("unable to unescape string: \\{digits}"))?);
        } else {
            let c = char::from_u32(code).ok_or_else(|| format!("unable to unescape string: \\{digits}"))?;
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    Ok(out)
}
