//! Selectors, written so that no name or value can break out of its quotes. Knows PromQL's and LogQL's quoting, no more.

use std::fmt;

use crate::settings::Names;
use crate::subject::{Side, Subject};

/// `{name="value",…}`, in the order added; empty: nothing at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Selector(Vec<String>);

impl Selector {
    pub(super) fn is(mut self, name: &str, value: &str) -> Self {
        self.0.push(format!("{}={}", label_name(name), quoted(value)));
        self
    }

    pub(super) fn like(mut self, name: &str, regex: &str) -> Self {
        self.0.push(format!("{}=~{}", label_name(name), quoted(regex)));
        self
    }

    pub(super) fn unlike(mut self, name: &str, regex: &str) -> Self {
        self.0.push(format!("{}!~{}", label_name(name), quoted(regex)));
        self
    }

    /// One of these values, literally; none of them: no matcher.
    pub(super) fn any_of(self, name: &str, values: &[String]) -> Self {
        match values {
            [] => self,
            [one] => self.is(name, one),
            many => {
                let regex: Vec<String> = many.iter().map(|value| escaped(value)).collect();
                self.like(name, &regex.join("|"))
            }
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{{{}}}", self.0.join(",")) }
    }
}

/// Spans of the service that count, of one side when it can be told apart.
pub(super) fn spans(subject: &Subject, names: &Names, side: Option<&Side>) -> Selector {
    let mut selector = Selector::default().is(&names.service_label, &subject.service);
    if !names.span_kinds.is_empty() {
        selector = selector.like("span_kind", &names.span_kinds);
    }
    if let Some(side) = side.filter(|side| side.tells()) {
        selector = match &side.version {
            Some(version) if side.instances.is_empty() => selector.is(&names.version_label, version),
            _ => selector.any_of(&names.instance_label, &side.instances),
        };
    }
    with_matchers(selector, subject)
}

/// Its processes: `job` is the service, in a namespace or not.
pub(super) fn processes(subject: &Subject, names: &Names) -> Selector {
    let job = format!("(.+/)?{}", escaped(&subject.service));
    let selector = Selector::default().like("job", &job);
    let instances = &subject.new.instances;
    let selector = if subject.side_by_side { selector.any_of(&names.instance_label, instances) } else { selector };
    with_matchers(selector, subject)
}

pub(super) fn stream(subject: &Subject, names: &Names) -> Selector {
    with_matchers(Selector::default().is(&names.log_service_label, &subject.service), subject)
}

pub(super) fn with_matchers(selector: Selector, subject: &Subject) -> Selector {
    subject.matchers.iter().fold(selector, |selector, (name, value)| selector.is(name, value))
}

/// A label's name as it is, or in quotes where Prometheus 3 wants them.
fn label_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { name.to_owned() } else { quoted(name) }
}

pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// For RE2: this text and nothing else.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if r"\.+*?()|[]{}^$".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        let check = |selector: Selector, expect: &str| assert_eq!(selector.to_string(), expect);
        check(Selector::default().is("service", "a\"} or up{x=\"\n"), r#"{service="a\"} or up{x=\"\n"}"#);
        check(Selector::default().is("service.name", "a\\b"), r#"{"service.name"="a\\b"}"#);
        check(Selector::default().any_of("i", &["a.b:1".into(), "c|d".into()]), r#"{i=~"a\\.b:1|c\\|d"}"#);
        check(Selector::default().any_of("i", &[]), "");
        check(Selector::default().is("x", "\u{1}é"), r#"{x="\u0001é"}"#);
    }
}
