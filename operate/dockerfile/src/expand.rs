//! Variables in words, with the modifiers of BuildKit (`:-`, `:+`, `:?`, `-`, `+`, `?`, `#`, `##`, `%`, `%%`, `/`, `//`).
//! Source: "Environment replacement" of the Dockerfile reference. Does not know where variables come from.

use std::collections::HashMap;

/// Longer values, and deeper modifiers, are taken as not known.
const VALUE_BYTES_MAX: usize = 4096;
const DEPTH_MAX: usize = 16;
/// Braces that close later than this are taken as never closed.
const BRACES_BYTES_MAX: usize = 1024;

/// The variables that are visible at an instruction. A value of `None` is set, but not known before the build.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    values: HashMap<String, Option<String>>,
}

impl Scope {
    pub fn set(&mut self, name: &str, value: Option<String>) {
        let value = value.filter(|value| value.len() <= VALUE_BYTES_MAX);
        self.values.insert(name.to_owned(), value);
    }

    pub fn has(&self, name: &str) -> bool {
        self.values.contains_key(name)
    }

    pub fn get(&self, name: &str) -> Option<&Option<String>> {
        self.values.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }
}

/// A variable as a word uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    pub name: String,
    /// From `$` to the end, in the word.
    pub start: usize,
    pub end: usize,
    /// `${name:-…}`, `${name-…}`, `${name:+…}`, `${name+…}`: it need not be set.
    pub has_default: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// `None` when it depends on a value that only the build knows.
    pub text: Option<String>,
    pub uses: Vec<Use>,
}

/// Replaces the variables of a raw word (quotes still there); single quotes keep theirs.
pub fn expand(raw: &str, scope: &Scope, escape: char) -> Expanded {
    let mut walk = Walk { scope, escape, uses: Vec::new(), known: true };
    let text = walk.word(raw, 0, 0);
    let known = walk.known && text.len() <= VALUE_BYTES_MAX;
    Expanded { text: known.then_some(text), uses: walk.uses }
}

struct Walk<'a> {
    scope: &'a Scope,
    escape: char,
    uses: Vec<Use>,
    known: bool,
}

impl Walk<'_> {
    fn word(&mut self, raw: &str, base: usize, depth: usize) -> String {
        let mut out = String::new();
        let mut single = false;
        let mut double = false;
        let mut chars = raw.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            if single {
                if c == '\'' {
                    single = false;
                } else {
                    out.push(c);
                }
                continue;
            }
            match c {
                '\'' if !double => single = true,
                '"' => double = !double,
                _ if c == self.escape => {
                    if let Some((_, next)) = chars.next() {
                        if double && !matches!(next, '"' | '$' | '\\') {
                            out.push(c);
                        }
                        out.push(next);
                    } else {
                        out.push(c);
                    }
                }
                '$' => {
                    let length = self.variable(raw, at, base, depth, &mut out);
                    while chars.peek().is_some_and(|(next, _)| *next < at + length) {
                        chars.next();
                    }
                }
                _ => out.push(c),
            }
            if out.len() > VALUE_BYTES_MAX {
                self.known = false;
                return out;
            }
        }
        out
    }

    /// The variable that opens at `at`; returns how many bytes it takes.
    fn variable(&mut self, raw: &str, at: usize, base: usize, depth: usize, out: &mut String) -> usize {
        let tail = raw.get(at + 1..).unwrap_or("");
        if let Some(inside) = tail.strip_prefix('{') {
            let Some(close) = closing_brace(inside, self.escape) else {
                out.push('$');
                return 1;
            };
            let body = inside.get(..close).unwrap_or("");
            let name_length = name_length(body);
            let (name, rest) = body.split_at(name_length);
            let length = close + 3;
            if name.is_empty() {
                self.known = false;
                return length;
            }
            let has_default = rest.starts_with(":-") || rest.starts_with(":+") || rest.starts_with(['-', '+']);
            self.uses.push(Use { name: name.to_owned(), start: base + at, end: base + at + length, has_default });
            if depth >= DEPTH_MAX {
                self.known = false;
                return length;
            }
            self.modified(name, rest, base + at + 2 + name_length, depth, out);
            return length;
        }
        let length = name_length(tail);
        if length == 0 {
            out.push('$');
            return 1;
        }
        let name = tail.get(..length).unwrap_or("");
        let (start, end) = (base + at, base + at + 1 + length);
        self.uses.push(Use { name: name.to_owned(), start, end, has_default: false });
        match self.scope.get(name) {
            Some(Some(value)) => out.push_str(value),
            Some(None) => self.known = false,
            None => {}
        }
        length + 1
    }

    fn modified(&mut self, name: &str, rest: &str, base: usize, depth: usize, out: &mut String) {
        let (colon, rest) = match rest.strip_prefix(':') {
            Some(rest) => (1, rest),
            None => (0, rest),
        };
        let Some(operator) = rest.chars().next() else {
            return match self.scope.get(name) {
                Some(Some(value)) => out.push_str(value),
                Some(None) => self.known = false,
                None => {}
            };
        };
        let argument = rest.get(operator.len_utf8()..).unwrap_or("");
        let base = base + colon + operator.len_utf8();
        // The word after the operator is expanded even if unused: what it names must be defined too.
        let known_before = self.known;
        let word = self.word(argument, base, depth + 1);
        let word_known = self.known;
        self.known = known_before;
        let value = self.scope.get(name).cloned();
        let set = match &value {
            None => Some(false),
            Some(None) if colon == 1 => None,
            Some(None) => Some(true),
            Some(Some(text)) => Some(colon == 0 || !text.is_empty()),
        };
        let text = value.flatten();
        match (operator, set) {
            ('-' | '+', None) => self.known = false,
            ('-', Some(false)) | ('+', Some(true)) => {
                self.known &= word_known;
                out.push_str(&word);
            }
            ('+', Some(false)) => {}
            ('-' | '?', Some(true)) => match text {
                Some(text) => out.push_str(&text),
                None => self.known = false,
            },
            ('#' | '%' | '/', _) => match (text, word_known) {
                (Some(text), true) => match trimmed(&text, operator, &word) {
                    Some(result) => out.push_str(&result),
                    None => self.known = false,
                },
                (None, _) if set == Some(false) => {}
                _ => self.known = false,
            },
            _ => self.known = false,
        }
    }
}

fn name_length(text: &str) -> usize {
    let first = text.chars().next();
    if !first.is_some_and(|c| c.is_ascii_alphabetic() || c == '_') {
        return 0;
    }
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

fn closing_brace(text: &str, escape: char) -> Option<usize> {
    let mut depth = 0usize;
    let mut skip = false;
    for (at, c) in text.char_indices().take_while(|(at, _)| *at < BRACES_BYTES_MAX) {
        match c {
            _ if skip => skip = false,
            _ if c == escape => skip = true,
            '{' => depth += 1,
            '}' if depth == 0 => return Some(at),
            '}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `#`, `##`, `%`, `%%`, `/`, `//` on a value. `None` where the pattern is too long to try.
fn trimmed(value: &str, operator: char, word: &str) -> Option<String> {
    if value.len() > 256 || word.len() > 64 {
        return None;
    }
    let (double, word) = match word.strip_prefix(operator) {
        Some(rest) => (true, rest),
        None => (false, word),
    };
    let borders: Vec<usize> = value.char_indices().map(|(at, _)| at).chain([value.len()]).collect();
    let slice = |from: usize, to: usize| value.get(from..to).unwrap_or("");
    match operator {
        '#' => {
            let fits = |at: &&usize| glob(word, slice(0, **at));
            let end = if double { borders.iter().rev().find(fits) } else { borders.iter().find(fits) };
            Some(slice(end.copied().unwrap_or(0), value.len()).to_owned())
        }
        '%' => {
            let fits = |at: &&usize| glob(word, slice(**at, value.len()));
            let start = if double { borders.iter().find(fits) } else { borders.iter().rev().find(fits) };
            Some(slice(0, start.copied().unwrap_or(value.len())).to_owned())
        }
        _ => {
            let (pattern, replacement) = word.split_once('/').unwrap_or((word, ""));
            if pattern.is_empty() {
                return Some(value.to_owned());
            }
            let mut out = String::new();
            let (mut at, mut done) = (0, false);
            while at < value.len() {
                let longest = borders.iter().rev().find(|end| **end > at && glob(pattern, slice(at, **end)));
                match longest.filter(|_| !done) {
                    Some(end) => {
                        out.push_str(replacement);
                        at = *end;
                        done = !double;
                    }
                    None => {
                        let c = slice(at, value.len()).chars().next()?;
                        out.push(c);
                        at += c.len_utf8();
                    }
                }
            }
            Some(out)
        }
    }
}

/// `*` and `?`; anything else stands for itself. Linear in the lengths' product.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == '?' || text.get(t) == Some(c) => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((star_p, star_t)) => {
                    star = Some((star_p, star_t + 1));
                    p = star_p + 1;
                    t = star_t + 1;
                }
                None => return false,
            },
        }
    }
    pattern.iter().skip(p).all(|c| *c == '*')
}
