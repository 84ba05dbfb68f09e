//! How bad a log line is, found where senders usually say it: a level field, a field in a JSON or logfmt line, a word at
//! the start of the line. Loki's `detected_level` in its simple form; the words are Loki's.

/// Field names that carry a level, compared without case and with `.` as `_`.
const FIELDS: &[&str] = &["level", "lvl", "severity", "severity_text", "severitytext", "log_level", "loglevel"];

/// How far into a line a bare word still counts as its level.
const WORD_SEARCH_MAX_BYTES: usize = 256;

/// The level of an entry from its labels or metadata, then from its line; `unknown` when nobody said.
pub fn detect_level(fields: &[(String, String)], line: &str) -> &'static str {
    let named = fields.iter().filter(|(name, _)| is_level_field(name)).find_map(|(_, value)| of_word(value));
    named.or_else(|| of_line(line)).unwrap_or("unknown")
}

/// The level that a word means: `WARNING` → `warn`.
pub(crate) fn of_word(word: &str) -> Option<&'static str> {
    let is = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    Some(match () {
        () if is(&["trace", "trc"]) => "trace",
        () if is(&["debug", "dbg"]) => "debug",
        () if is(&["info", "inf", "information", "informational", "notice"]) => "info",
        () if is(&["warn", "wrn", "warning"]) => "warn",
        () if is(&["error", "err", "eror"]) => "error",
        () if is(&["critical", "crit"]) => "critical",
        () if is(&["fatal", "panic", "emerg", "emergency", "alert"]) => "fatal",
        () => return None,
    })
}

fn is_level_field(name: &str) -> bool {
    let same = |field: &&str| {
        name.len() == field.len()
            && name.bytes().zip(field.bytes()).all(|(a, b)| a.eq_ignore_ascii_case(&b) || (a == b'.' && b == b'_'))
    };
    FIELDS.iter().any(same)
}

fn of_line(line: &str) -> Option<&'static str> {
    let trimmed = line.trim_start();
    if trimmed.starts_with('{')
        && let Ok(fields) = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(trimmed)
    {
        let mut named = fields.iter().filter(|(name, _)| is_level_field(name));
        return named.find_map(|(_, value)| match value {
            serde_json::Value::String(word) => of_word(word),
            // pino and bunyan count in tens.
            serde_json::Value::Number(number) => number.as_u64().and_then(of_tens),
            _ => None,
        });
    }
    logfmt(trimmed).or_else(|| first_word(trimmed))
}

fn of_tens(number: u64) -> Option<&'static str> {
    Some(match number {
        10 => "trace",
        20 => "debug",
        30 => "info",
        40 => "warn",
        50 => "error",
        60 => "fatal",
        _ => return None,
    })
}

fn logfmt(line: &str) -> Option<&'static str> {
    let pairs = line.split_ascii_whitespace().filter_map(|word| word.split_once('='));
    pairs.filter(|(name, _)| is_level_field(name)).find_map(|(_, value)| of_word(value.trim_matches('"')))
}

fn first_word(line: &str) -> Option<&'static str> {
    let end = line.floor_char_boundary(WORD_SEARCH_MAX_BYTES);
    let words = line.get(..end).unwrap_or(line).split(|c: char| !c.is_ascii_alphanumeric());
    // `alert`, `notice` and the like are ordinary words in running text; only the unmistakable ones count there.
    let plain = |word: &&str| {
        !["alert", "notice", "information", "trace", "panic"].iter().any(|w| word.eq_ignore_ascii_case(w))
            || word.bytes().all(|b| b.is_ascii_uppercase())
    };
    words.filter(|word| !word.is_empty()).filter(plain).find_map(of_word)
}

/// Sorts metadata by name and keeps the last value of a repeated name, as `LogEntry` wants it.
pub(crate) fn tidy(metadata: &mut Vec<(String, String)>) {
    metadata.sort_by(|a, b| a.0.cmp(&b.0));
    metadata.dedup_by(|later, kept| {
        let same = later.0 == kept.0;
        if same {
            std::mem::swap(&mut later.1, &mut kept.1);
        }
        same
    });
    metadata.retain(|(_, value)| !value.is_empty());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(fields: &[(&str, &str)], line: &str, expect: &str) {
        let fields: Vec<_> = fields.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(detect_level(&fields, line), expect, "{fields:?} {line}");
    }

    #[test]
    fn levels_where_senders_put_them() {
        check(&[("level", "WARNING")], "error: x", "warn");
        check(&[("log.level", "Dbg")], "", "debug");
        check(&[("level", "odd")], "ERROR x", "error");
        check(&[], r#"{"msg":"error","Level":"info"}"#, "info");
        check(&[], r#"{"level":50,"msg":"x"}"#, "error");
        check(&[], r#"{"msg":"error"}"#, "unknown");
        for (number, word) in [(10, "trace"), (20, "debug"), (30, "info"), (40, "warn"), (60, "fatal"), (35, "unknown")]
        {
            check(&[], &format!(r#"{{"level":{number}}}"#), word);
        }
        check(&[], r#"{"level":null,"severity":"error"}"#, "error");
        check(&[], r#"ts=1 level=warn msg="error here""#, "warn");
        check(&[], r#"lvl="crit" x"#, "critical");
        check(&[], "2026-01-01 10:00:00 [INFO] no error at all", "info");
        check(&[], "GET / 200", "unknown");
        check(&[], "please notice the alert", "unknown");
        check(&[], "NOTICE it", "info");
        check(&[], "informed and errored", "unknown");
        check(&[], "", "unknown");
    }

    #[test]
    fn metadata_is_sorted_and_the_last_value_wins() {
        let mut pairs = vec![
            ("b".to_owned(), "1".to_owned()),
            ("a".into(), "x".into()),
            ("b".into(), "2".into()),
            ("c".into(), "".into()),
        ];
        tidy(&mut pairs);
        assert_eq!(pairs, [("a".to_owned(), "x".to_owned()), ("b".into(), "2".into())]);
    }
}
