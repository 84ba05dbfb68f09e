//! Rules about labels. Which form a label must have is known for the keys of the OCI image specification ("Annotations"),
//! and is told by the project for its own.

use std::collections::HashSet;

use super::Context;
use crate::check::LabelForm;
use crate::finding::Findings;
use crate::syntax::Kind;
use base_explain::Span;

pub(super) fn check(context: &Context<'_>, found: &mut Findings) {
    let mut shipped = HashSet::new();
    for step in context.steps.iter().filter(|step| step.is(Kind::Label) && step.is_built()) {
        for (key, value) in step.it.pairs() {
            let name = key.value.as_str();
            if step.ships() {
                shipped.insert(name.to_owned());
            }
            if name.contains('$') {
                continue;
            }
            if !is_key(name) {
                found.add("AD0801", key.span, format!("`{name}` is no valid key"));
            }
            let known = context.options.labels.iter().find(|one| one.key == name);
            if context.options.strict_labels && known.is_none() {
                found.add("AD0803", key.span, format!("the project knows no label `{name}`"));
            }
            let Some(value) = value else { continue };
            let text = value.value.trim();
            if text.is_empty() {
                found.add("AD0804", key.span, format!("`{name}` is empty"));
                continue;
            }
            let form = known.map(|one| one.form).unwrap_or_else(|| usual_form(name));
            if !text.contains('$') {
                shape(name, text, form, value.span, found);
            }
        }
    }
    let Some(target) = context.stages.target() else { return };
    let Some(from) = context.file.instructions.get(target.from) else { return };
    for label in context.options.labels.iter().filter(|label| label.required && !shipped.contains(&label.key)) {
        found.add("AD0802", from.head_span(), format!("`{}` is missing", label.key));
    }
}

fn is_key(key: &str) -> bool {
    let letters =
        key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-' | '_' | '/'));
    let ends = key.starts_with(|c: char| c.is_ascii_lowercase())
        && key.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    let doubled = key.contains("..") || key.contains("--");
    // Docker keeps these for itself.
    let reserved = ["com.docker.", "io.docker.", "org.dockerproject."].iter().any(|prefix| key.starts_with(prefix));
    let of_extensions = key.starts_with("com.docker.extension.") || key.starts_with("com.docker.desktop.");
    letters && ends && !doubled && (!reserved || of_extensions)
}

fn usual_form(key: &str) -> LabelForm {
    match key.strip_prefix("org.opencontainers.image.") {
        Some("url" | "documentation" | "source") => LabelForm::Url,
        Some("created") => LabelForm::Time,
        Some("licenses") => LabelForm::Licence,
        _ => LabelForm::Text,
    }
}

fn shape(name: &str, text: &str, form: LabelForm, span: Span, found: &mut Findings) {
    let (id, fits) = match form {
        LabelForm::Text => return,
        LabelForm::Url => ("AD0805", is_url(text)),
        LabelForm::Time => ("AD0806", is_time(text)),
        LabelForm::Licence => ("AD0807", is_licence(text)),
        LabelForm::Commit => ("AD0808", matches!(text.len(), 40 | 64) && text.chars().all(|c| c.is_ascii_hexdigit())),
        LabelForm::Version => ("AD0809", is_version(text)),
        LabelForm::Email => ("AD0810", is_email(text)),
    };
    if !fits {
        found.add(id, span, format!("`{name}` is `{}`", text.chars().take(60).collect::<String>()));
    }
}

fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or(text.strip_prefix("http://"))
        .or(text.strip_prefix("git://"))
        .or(text.strip_prefix("ssh://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace))
}

/// RFC 3339, section 5.6.
fn is_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let number = |from: usize, to: usize| {
        text.get(from..to)
            .filter(|part| part.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|part| part.parse::<u32>().ok())
    };
    let sign = |at: usize, signs: &[u8]| bytes.get(at).is_some_and(|byte| signs.contains(byte));
    let date = number(0, 4).is_some()
        && sign(4, b"-")
        && number(5, 7).is_some_and(|month| (1..=12).contains(&month))
        && sign(7, b"-")
        && number(8, 10).is_some_and(|day| (1..=31).contains(&day))
        && sign(10, b"Tt ");
    let time = number(11, 13).is_some_and(|hour| hour < 24)
        && sign(13, b":")
        && number(14, 16).is_some_and(|minute| minute < 60)
        && sign(16, b":")
        && number(17, 19).is_some_and(|second| second <= 60);
    let Some(rest) = text.get(19..).filter(|_| date && time) else { return false };
    let zone = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => rest,
    };
    let offset = |zone: &str| {
        zone.len() == 6
            && zone.starts_with(['+', '-'])
            && zone.get(1..3).is_some_and(|part| part.parse::<u32>().is_ok())
            && zone.get(3..4) == Some(":")
            && zone.get(4..6).is_some_and(|part| part.parse::<u32>().is_ok())
    };
    matches!(zone, "Z" | "z") || offset(zone)
}

/// The licences most projects have; an expression of names in SPDX's form passes as well.
fn is_licence(text: &str) -> bool {
    let known =
        ["MIT", "ISC", "Zlib", "Unlicense", "CC0-1.0", "WTFPL", "0BSD", "PostgreSQL", "curl", "X11", "NCSA", "OpenSSL"];
    let one = |name: &str| {
        let name = name.trim_end_matches('+');
        let versioned = name.rsplit_once('-').is_some_and(|(_, last)| {
            last.starts_with(|c: char| c.is_ascii_digit()) || matches!(last, "only" | "later" | "Clause" | "exception")
        });
        known.contains(&name)
            || name.starts_with("LicenseRef-")
            || versioned && name.starts_with(|c: char| c.is_ascii_uppercase())
    };
    text.split(['(', ')', ' ']).filter(|part| !part.is_empty() && !matches!(*part, "AND" | "OR" | "WITH")).all(one)
}

/// Semantic Versioning 2.0.0.
fn is_version(text: &str) -> bool {
    let (rest, build) = text.split_once('+').map_or((text, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    core.split('.').count() == 3
        && core.split('.').all(number)
        && [pre, build].into_iter().flatten().all(|list| list.split('.').all(word))
}

fn is_email(text: &str) -> bool {
    let address = text.rsplit_once('<').map_or(text, |(_, rest)| rest.trim_end_matches('>'));
    address.split_once('@').is_some_and(|(user, host)| {
        !user.is_empty()
            && host.contains('.')
            && !host.starts_with('.')
            && !host.ends_with('.')
            && !address.contains(char::is_whitespace)
            && !host.contains('@')
    })
}
