//! Checks that all kinds share: a word of a few, a number in a range, one of several fields. Knows no kind.

use crate::format;
use crate::validate::{At, Out};

/// A text, if there is one, is one of these.
pub(crate) fn one_of(at: &At<'_>, words: &[&str], out: &mut Out) {
    if let Some(text) = at.text().filter(|text| !text.is_empty() && !words.contains(text)) {
        let near = words.iter().find(|word| word.eq_ignore_ascii_case(text));
        let fix = near.map_or_else(|| format!("write one of {}", words.join(", ")), |near| format!("write `{near}`"));
        out.error(at, "format/value", format!("`{text}` is not taken here"), fix);
    }
}

/// A text stands here and is not empty.
pub(crate) fn wanted(at: &At<'_>, name: &str, out: &mut Out) -> bool {
    let there = match at.node {
        Some(node) => node.text() != Some("") || node.style == lib_yaml_edit::Style::Absent,
        None => false,
    };
    if !there {
        out.error(at, "field/required", format!("`{name}` is missing or empty"), format!("set `{name}`"));
    }
    there
}

/// A whole number, if there is one, is within the range.
pub(crate) fn within(at: &At<'_>, from: i64, to: i64, out: &mut Out) {
    if let Some(n) = at.int().filter(|n| *n < from || *n > to) {
        let fix = if to == i64::MAX { format!("at least {from}") } else { format!("from {from} to {to}") };
        out.error(at, "range/number", format!("{n} is out of range"), fix);
    }
}

pub(crate) fn not_negative(at: &At<'_>, keys: &[&str], out: &mut Out) {
    for key in keys {
        within(&at.get(key), 0, i64::MAX, out);
    }
}

pub(crate) fn port(at: &At<'_>, out: &mut Out) {
    within(at, 1, 65_535, out);
}

/// A port as a number or by its name.
pub(crate) fn port_or_name(at: &At<'_>, out: &mut Out) {
    match at.text() {
        Some(name) if !format::port_name(name) => {
            out.error(
                at,
                "format/name",
                format!("`{name}` is no port name"),
                "at most 15 lower-case letters, digits and `-`, one letter at least",
            );
        }
        Some(_) => {}
        None => port(at, out),
    }
}

/// A name of some form.
pub(crate) fn named(at: &At<'_>, fits: fn(&str) -> bool, form: &str, out: &mut Out) {
    if let Some(text) = at.text().filter(|text| !text.is_empty() && !fits(text)) {
        out.error(at, "format/name", format!("`{text}` is no {form}"), rules_of(form));
    }
}

fn rules_of(form: &str) -> &'static str {
    match form {
        "DNS label" => "lower-case letters, digits and `-`, at most 63, a letter or digit at both ends",
        "DNS subdomain" => {
            "lower-case letters, digits, `-` and `.`, at most 253, a letter or digit at both ends of each part"
        }
        "label value" => "at most 63 letters, digits, `-`, `_` and `.`, a letter or digit at both ends",
        "qualified name" => "at most 63 letters, digits, `-`, `_` and `.`, behind an optional domain and `/`",
        _ => "use another name",
    }
}

/// Exactly one of these fields is set; says which.
pub(crate) fn exactly_one<'k>(at: &At<'_>, keys: &[&'k str], thing: &str, out: &mut Out) -> Option<&'k str> {
    let set: Vec<&str> = keys.iter().copied().filter(|key| at.get(key).is()).collect();
    match set.as_slice() {
        [one] => return Some(one),
        [] => out.error(at, "field/required", format!("no {thing} is said"), format!("set one of {}", keys.join(", "))),
        _ => {
            out.error(at, "relation/conflict", format!("{} exclude each other", set.join(" and ")), "keep one of them")
        }
    }
    None
}

/// A whole number or percentage that is not negative; percentages up to 100 where they are bounded.
pub(crate) fn count_or_percent(at: &At<'_>, bounded: bool, out: &mut Out) {
    match at.text() {
        Some(text) => match format::percent(text) {
            None => out.error(
                at,
                "format/value",
                format!("`{text}` is no percentage"),
                "write a whole number, or as \"25%\"",
            ),
            Some(n) if bounded && n > 100 => {
                out.error(at, "range/number", format!("{text} is more than all"), "at most 100%")
            }
            Some(_) => {}
        },
        None => within(at, 0, i64::MAX, out),
    }
}

/// It is said and means none.
pub(crate) fn is_none_at_all(at: &At<'_>) -> bool {
    at.int() == Some(0) || at.text().and_then(format::percent) == Some(0)
}

/// Texts at a key of each item differ.
pub(crate) fn unique(list: &At<'_>, key: &str, out: &mut Out) {
    let text = |node: &lib_yaml_edit::Node| node.get(key).and_then(lib_yaml_edit::Node::text).map(str::to_owned);
    let mut seen: Vec<String> = Vec::new();
    for item in list.items() {
        let Some(text) = item.node.and_then(text).filter(|text| !text.is_empty()) else { continue };
        if seen.contains(&text) {
            let what = format!("`{text}` stands before it already");
            out.error(&item.get(key), "relation/unique", what, "give each a name of its own");
        }
        seen.push(text);
    }
}

/// Items that are texts differ.
pub(crate) fn unique_words(list: &At<'_>, out: &mut Out) {
    let words: Vec<&str> = list.items().map(|item| item.str()).collect();
    for (index, item) in list.items().enumerate() {
        if words.iter().take(index).any(|word| *word == item.str()) {
            out.error(
                &item,
                "relation/unique",
                format!("`{}` stands before it already", item.str()),
                "keep one of them",
            );
        }
    }
}

/// An address of four or six.
pub(crate) fn ip(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}

/// `10.0.0.0/8`, or six's form.
pub(crate) fn cidr(text: &str) -> Option<(std::net::IpAddr, u8)> {
    let (address, bits) = text.split_once('/')?;
    let address: std::net::IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits: u8 = bits.parse().ok()?;
    (bits <= most).then_some((address, bits))
}
