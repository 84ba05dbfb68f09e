//! Regular expressions as RE2 reads them, on the `regex` crate.
//!
//! Prometheus, Loki and Tempo all promise RE2. The crate is linear-time too but differs: its `\d \w \s \b` are Unicode where
//! RE2's are ASCII, and it lacks `\Q…\E` and `\C`. This wrapper translates those and caps the compiled size. Source: the
//! syntax page of the re2 project.

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, Look};

/// A compiled pattern; cloning shares it.
#[derive(Clone, Debug)]
pub struct Pattern {
    source: String,
    regex: Regex,
    literals: Option<Vec<String>>,
    prefix: String,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("error parsing regexp: {reason}: `{pattern}`")]
pub struct PatternError {
    pub pattern: String,
    pub reason: String,
}

/// Compiled programs above this are refused: a label matcher has no business being larger.
const SIZE_LIMIT_BYTES: usize = 4 << 20;
/// RE2 refuses a repeat count above this; so do we, before the crate expands it.
const REPEAT_MAX: u32 = 1000;
/// Sets of literals above this are left to the automaton.
const LITERALS_MAX: usize = 256;

impl Pattern {
    /// As a label matcher reads it: anchored at both ends, dot matches newline.
    pub fn anchored(source: &str) -> Result<Self, PatternError> {
        Self::compile(source, &format!("^(?s:{})$", translate(source)), true)
    }

    /// As a line filter reads it: anywhere in the text, dot does not match newline.
    pub fn unanchored(source: &str) -> Result<Self, PatternError> {
        Self::compile(source, &translate(source), false)
    }

    fn compile(source: &str, translated: &str, anchored: bool) -> Result<Self, PatternError> {
        let error = |reason: String| PatternError { pattern: source.chars().take(200).collect(), reason };
        // The pattern alone first, so that `a)(b` cannot borrow the wrapper's brackets.
        let hir = regex_syntax::ParserBuilder::new()
            .unicode(true)
            .dot_matches_new_line(anchored)
            .build()
            .parse(&translate(source))
            .map_err(|e| error(short(&e)))?;
        if repeats_too_often(&hir) {
            return Err(error("invalid repeat count".into()));
        }
        let regex = RegexBuilder::new(translated)
            .size_limit(SIZE_LIMIT_BYTES)
            .dfa_size_limit(SIZE_LIMIT_BYTES)
            .build()
            .map_err(|e| match e {
                regex::Error::CompiledTooBig(_) => error("expression too large".into()),
                other => error(other.to_string().lines().last().unwrap_or_default().trim().to_owned()),
            })?;
        let literals = if anchored { literal_set(&hir) } else { None };
        let prefix = if anchored { literal_prefix(&hir) } else { String::new() };
        Ok(Pattern { source: source.to_owned(), regex, literals, prefix })
    }

    /// The pattern as it was written.
    pub fn as_str(&self) -> &str {
        &self.source
    }

    pub fn is_match(&self, text: &str) -> bool {
        match &self.literals {
            Some(set) => set.iter().any(|literal| literal == text),
            None => text.starts_with(&self.prefix) && self.regex.is_match(text),
        }
    }

    /// For an anchored pattern that is only an alternation of literals: those, so that a store can look them up.
    pub fn literals(&self) -> Option<&[String]> {
        self.literals.as_deref()
    }

    /// What every match of an anchored pattern begins with; may be empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The compiled expression, for capture groups.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

fn short(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(e) => e.kind().to_string(),
        regex_syntax::Error::Translate(e) => e.kind().to_string(),
        other => other.to_string(),
    }
}

/// RE2's spelling to the crate's: ASCII classes, octal codes, `\Q…\E` quoted, `\C` any byte taken as any character, `\z` kept.
fn translate(source: &str) -> String {
    let mut out = String::with_capacity(source.len() + 8);
    let mut chars = source.chars();
    let mut in_class = false;
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('d') => out.push_str(if in_class { "0-9" } else { "[0-9]" }),
                Some('w') => out.push_str(if in_class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                Some('s') => out.push_str(if in_class { r"\t\n\f\r " } else { r"[\t\n\f\r ]" }),
                Some('D') => out.push_str("[^0-9]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('S') => out.push_str(r"[^\t\n\f\r ]"),
                Some('b') if !in_class => out.push_str(r"(?-u:\b)"),
                Some('B') if !in_class => out.push_str(r"(?-u:\B)"),
                Some('C') if !in_class => out.push_str("(?s:.)"),
                // An octal code; one digit alone but `0` would be a backreference, which neither knows.
                Some(first @ '0'..='7') => {
                    let digits = chars.as_str().bytes().take(2).take_while(|b| (b'0'..=b'7').contains(b)).count();
                    let (more, after) = chars.as_str().split_at(digits);
                    match u32::from_str_radix(&format!("{first}{more}"), 8) {
                        Ok(code) if first == '0' || digits > 0 => out.push_str(&format!("\\x{{{code:x}}}")),
                        _ => out.extend(['\\', first]),
                    }
                    chars = after.chars();
                }
                Some('Q') if !in_class => {
                    let rest = chars.as_str();
                    let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                    out.push_str(&regex::escape(quoted));
                    chars = after.chars();
                }
                Some(other) => {
                    out.push('\\');
                    out.push(other);
                    // The braces of `\p{Greek}` and `\x{10FFFF}` are no repeat.
                    let braced = matches!(other, 'p' | 'P' | 'x') && chars.as_str().starts_with('{');
                    if let Some(end) = chars.as_str().find('}').filter(|_| braced) {
                        out.push_str(&chars.as_str()[..=end]);
                        chars = chars.as_str()[end + 1..].chars();
                    }
                }
                None => out.push('\\'),
            },
            '[' if !in_class => {
                in_class = true;
                out.push('[');
                // `[]a]` and `[^]a]`: the first bracket is a member.
                if let Some(rest) = chars.as_str().strip_prefix('^') {
                    out.push('^');
                    chars = rest.chars();
                }
                if let Some(rest) = chars.as_str().strip_prefix(']') {
                    out.push_str("\\]");
                    chars = rest.chars();
                }
            }
            // The crate nests classes and knows `&&`, `--`, `~~`; RE2 takes them as members. `[:alpha:]` both know.
            '[' if in_class && !chars.as_str().starts_with(':') => out.push_str("\\["),
            '[' if in_class => {
                let rest = chars.as_str();
                match rest.find(":]") {
                    Some(end) => {
                        out.push('[');
                        out.push_str(&rest[..end + 2]);
                        chars = rest[end + 2..].chars();
                    }
                    None => out.push_str("\\["),
                }
            }
            '&' | '~' if in_class => {
                out.push('\\');
                out.push(c);
            }
            ']' if in_class => {
                in_class = false;
                out.push(']');
            }
            // RE2 takes a brace that opens no repeat as itself.
            '{' if !in_class && !opens_repeat(chars.as_str()) => out.push_str("\\{"),
            '}' if !in_class && !closes_repeat(&out) => out.push_str("\\}"),
            other => out.push(other),
        }
    }
    out
}

/// Whether what follows `{` is `n}`, `n,}` or `n,m}`.
fn opens_repeat(rest: &str) -> bool {
    let Some((inside, _)) = rest.split_once('}') else { return false };
    let (low, high) = inside.split_once(',').unwrap_or((inside, ""));
    !low.is_empty() && low.bytes().all(|b| b.is_ascii_digit()) && high.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `out` ends in an open repeat.
fn closes_repeat(out: &str) -> bool {
    let Some(open) = out.rfind('{') else { return false };
    let escaped = out[..open].ends_with('\\') && !out[..open].ends_with("\\\\");
    !escaped && !out[open..].contains('}')
}

fn repeats_too_often(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Repetition(r) => {
            r.min > REPEAT_MAX || r.max.is_some_and(|max| max > REPEAT_MAX) || repeats_too_often(&r.sub)
        }
        HirKind::Capture(c) => repeats_too_often(&c.sub),
        HirKind::Concat(subs) | HirKind::Alternation(subs) => subs.iter().any(repeats_too_often),
        _ => false,
    }
}

/// All texts the pattern can match, when they are few.
fn literal_set(hir: &Hir) -> Option<Vec<String>> {
    let set = match hir.kind() {
        HirKind::Empty => vec![String::new()],
        HirKind::Literal(l) => vec![String::from_utf8(l.0.to_vec()).ok()?],
        HirKind::Capture(c) => literal_set(&c.sub)?,
        HirKind::Class(class) => {
            let regex_syntax::hir::Class::Unicode(class) = class else { return None };
            let mut set = Vec::new();
            for range in class.ranges() {
                for c in range.start()..=range.end() {
                    set.push(c.to_string());
                    if set.len() > LITERALS_MAX {
                        return None;
                    }
                }
            }
            set
        }
        HirKind::Alternation(subs) => {
            let mut set = Vec::new();
            for sub in subs {
                set.extend(literal_set(sub)?);
            }
            set
        }
        HirKind::Concat(subs) => {
            let mut set = vec![String::new()];
            for sub in subs {
                let tails = literal_set(sub)?;
                if set.len() * tails.len() > LITERALS_MAX {
                    return None;
                }
                set = set.iter().flat_map(|head| tails.iter().map(move |tail| format!("{head}{tail}"))).collect();
            }
            set
        }
        HirKind::Look(_) | HirKind::Repetition(_) => return None,
    };
    (set.len() <= LITERALS_MAX).then_some(set)
}

/// The literal that every match begins with.
fn literal_prefix(hir: &Hir) -> String {
    match hir.kind() {
        HirKind::Literal(l) => String::from_utf8(l.0.to_vec()).unwrap_or_default(),
        HirKind::Capture(c) => literal_prefix(&c.sub),
        HirKind::Concat(subs) => {
            let mut prefix = String::new();
            for sub in subs {
                match sub.kind() {
                    HirKind::Literal(_) => prefix.push_str(&literal_prefix(sub)),
                    HirKind::Look(Look::Start) if prefix.is_empty() => {}
                    _ => {
                        prefix.push_str(&literal_prefix(sub));
                        break;
                    }
                }
            }
            prefix
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_re2_reads_it() {
        let table = [
            (r"\d+", "123", true),
            (r"\d+", "١٢٣", false),
            (r"\w", "é", false),
            (r"[\w.]+", "a.b_9", true),
            (r"\Qa.b\E.", "a.bX", true),
            (r"\Qa.b\E.", "aXbX", false),
            ("a.b", "a\nb", true),
            ("foo|bar", "xfoo", false),
            ("a{,5}", "a{,5}", true),
            ("a{2}", "aa", true),
            ("{x}", "{x}", true),
            ("[[]x]", "[x]", true),
            ("[]a]", "]", true),
            ("[[:alpha:]]+", "abc", true),
            ("(?i)ABC", "abc", true),
            ("", "", true),
            (r"\p{Greek}", "β", true),
            ("[a&&b]", "&", true),
            ("[a~b]", "~", true),
            (r"\D\W\S", "x-x", true),
            (r"\D", "5", false),
            (r"\W", "_", false),
            (r"\S", " ", false),
            (r"a\s?b", "a\u{a0}b", false),
            (r"[\d\s]+", "1 2", true),
            (r".*\bb", "a b", true),
            (r"a\Bb", "ab", true),
            (r"\C", "é", true),
            (r"\Qa.b", "a.b", true),
            (r"\x{41}\101?", "A", true),
            (r"\101[\060-\071]\0?", "A7", true),
            ("[[:nope]", "[", true),
            ("[^]a]", "b", true),
            ("[^]a]", "]", false),
            ("^a$", "a", true),
            ("(ab)c.*", "abcd", true),
        ];
        for (source, text, expected) in table {
            let pattern = Pattern::anchored(source).unwrap_or_else(|e| panic!("{source}: {e}"));
            assert_eq!(pattern.is_match(text), expected, "{source} on {text}");
        }
    }

    #[test]
    fn refused_with_the_pattern() {
        for source in ["a)(b", "(", "a{1001}", "[z-a]", "*a", r"(\w{900}){900}", r"\p{Nope}", "a\\", r"(a)\1"] {
            let error = Pattern::anchored(source).expect_err(source);
            assert!(error.to_string().starts_with("error parsing regexp: "), "{error}");
        }
    }

    #[test]
    fn literals_and_prefixes_are_found() {
        let literals = |source: &str| Pattern::anchored(source).unwrap().literals().map(<[String]>::to_vec);
        assert_eq!(literals("a|b|(cd|ce)"), Some(vec!["a".into(), "b".into(), "cd".into(), "ce".into()]));
        assert_eq!(literals("GET|PO(ST|T)"), Some(vec!["GET".into(), "POST".into(), "POT".into()]));
        assert_eq!(literals("a.*"), None);
        let prefix = |source: &str| Pattern::anchored(source).unwrap().prefix().to_owned();
        assert_eq!(prefix("node_.*"), "node_");
        assert_eq!(prefix("^(ab)c(x|y)+"), "ab");
        assert_eq!(prefix(".*x"), "");
        // More than a store would look up one by one.
        let many: Vec<_> = (0..2000).map(|i| format!("v{i:04}")).collect();
        assert_eq!(literals(&many.join("|")), None);
        assert_eq!(literals("[a-z][a-z][a-z][a-z]"), None);
        let pattern = Pattern::anchored("(?P<a>x)y").unwrap();
        assert_eq!(
            (pattern.as_str(), pattern.regex().captures("xy").unwrap().name("a").unwrap().as_str()),
            ("(?P<a>x)y", "x")
        );
        assert!(Pattern::unanchored("err").unwrap().is_match("an error"));
    }
}
