//! Regular expressions as RE2 reads them, on the regex crate: linear in time, bounded in size. What differs (ASCII classes, `\Q…\E`, signs in classes
//! and braces that mean themselves) is rewritten. <https://github.com/google/re2/wiki/Syntax>

use regex::{Regex, RegexBuilder};

use crate::error::EvalError;

/// Of a compiled pattern.
const SIZE_MAX_BYTES: usize = 1 << 20;
/// Longer repetitions are refused by RE2.
const REPEAT_MAX: u32 = 1000;

/// Compiles a pattern. One that RE2 refuses too fails; one that is too large here is unknown.
///
/// # Errors
/// As said.
pub fn pattern(text: &str) -> Result<Regex, EvalError> {
    let rewritten = rewrite(text)
        .ok_or_else(|| EvalError::fails(format!("error parsing regexp: invalid repeat count or escape in `{text}`")))?;
    RegexBuilder::new(&rewritten).size_limit(SIZE_MAX_BYTES).nest_limit(100).build().map_err(|error| match error {
        regex::Error::Syntax(_) if is_certain(text) => {
            EvalError::fails(format!("error parsing regexp: `{text}` is no regular expression"))
        }
        _ => EvalError::Unknown(format!("the regular expression `{text}` is beyond what is compiled here")),
    })
}

/// What both engines refuse alike: unbalanced brackets, nothing to repeat, look-around and backreferences.
fn is_certain(text: &str) -> bool {
    let plain = !text.contains("\\p") && !text.contains("\\P") && !text.contains("[[:") && !text.contains("\\C");
    plain && text.len() < 10_000
}

/// None of a repetition above RE2's limit.
fn rewrite(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.char_indices().peekable();
    let mut class = false;
    // Right behind `[` or `[^`, a `]` means itself.
    let mut class_start = 0;
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => {
                let (_, escape) = chars.next().unwrap_or((at, '\\'));
                match (escape, class) {
                    ('d', false) => out.push_str("[0-9]"),
                    ('D', false) => out.push_str("[^0-9]"),
                    ('w', false) => out.push_str("[0-9A-Za-z_]"),
                    ('W', false) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', false) => out.push_str("[\\t\\n\\f\\r ]"),
                    ('S', false) => out.push_str("[^\\t\\n\\f\\r ]"),
                    ('d', true) => out.push_str("0-9"),
                    ('w', true) => out.push_str("0-9A-Za-z_"),
                    ('s', true) => out.push_str("\\t\\n\\f\\r "),
                    ('D', true) => out.push_str("[^0-9]"),
                    ('W', true) => out.push_str("[^0-9A-Za-z_]"),
                    ('S', true) => out.push_str("[^\\t\\n\\f\\r ]"),
                    ('b', false) => out.push_str("(?-u:\\b)"),
                    ('B', false) => out.push_str("(?-u:\\B)"),
                    ('Q', false) => {
                        let rest = text.get(at + 2..).unwrap_or("");
                        let inner = rest.split("\\E").next().unwrap_or(rest);
                        out.push_str(&regex::escape(inner));
                        let end = at + 2 + inner.len() + 2;
                        while chars.peek().is_some_and(|(next, _)| *next < end) {
                            chars.next();
                        }
                    }
                    _ => {
                        out.push('\\');
                        out.push(escape);
                    }
                }
            }
            '[' if !class => {
                class = true;
                out.push('[');
                class_start = at + 1;
                if chars.peek().is_some_and(|(_, next)| *next == '^') {
                    chars.next();
                    out.push('^');
                    class_start = at + 2;
                }
                if chars.peek().is_some_and(|(_, next)| *next == ']') {
                    chars.next();
                    out.push_str("\\]");
                }
            }
            '[' if text.get(at..).is_some_and(|rest| rest.starts_with("[:")) => {
                let rest = text.get(at..).unwrap_or("");
                let len = rest.find(":]").map_or(1, |end| end + 2);
                out.push_str(rest.get(..len).unwrap_or("["));
                while chars.peek().is_some_and(|(next, _)| *next < at + len) {
                    chars.next();
                }
            }
            '[' => out.push_str("\\["),
            ']' if class => {
                class = false;
                out.push(']');
            }
            '&' | '~' if class => {
                out.push('\\');
                out.push(c);
            }
            // `--` would be a difference of classes; a single one keeps its meaning.
            '-' if class && (at == class_start || chars.peek().is_some_and(|(_, next)| matches!(next, ']' | '-'))) => {
                out.push_str("\\-");
            }
            '{' if !class => match repetition(text.get(at + 1..).unwrap_or("")) {
                Some(most) if most > REPEAT_MAX => return None,
                Some(_) => out.push('{'),
                None => out.push_str("\\{"),
            },
            _ => out.push(c),
        }
    }
    Some(out)
}

/// The larger number of `2,5}`; nothing if braces mean themselves here.
fn repetition(rest: &str) -> Option<u32> {
    let (inside, _) = rest.split_once('}')?;
    let (least, most) = inside.split_once(',').unwrap_or((inside, inside));
    let number =
        |word: &str| (word.len() < 9 && word.bytes().all(|b| b.is_ascii_digit())).then(|| word.parse().ok())?;
    let least: u32 = number(least)?;
    Some(if most.is_empty() { least } else { least.max(number(most)?) })
}
