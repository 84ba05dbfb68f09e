//! Kubernetes' library of named formats: `format.dns1123Label().validate(x)` is nothing if `x` has it, else what is wrong.

use lib_cel::{Cx, Run, Value};

use super::{Out, no, opaque, own, urls, wrap};
use crate::format as form;

#[derive(Debug, PartialEq)]
struct Named(&'static str);
opaque!(Named, "kubernetes.NamedFormat");

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("format.named(string) -> optional<kubernetes.NamedFormat>", named),
    ("kubernetes.NamedFormat.validate(string) -> optional<list<string>>", validate),
    ("format.dns1123Label() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1123Label")))),
    ("format.dns1123Subdomain() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1123Subdomain")))),
    ("format.dns1035Label() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1035Label")))),
    ("format.qualifiedName() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("qualifiedName")))),
    ("format.dns1123LabelPrefix() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1123LabelPrefix")))),
    ("format.dns1123SubdomainPrefix() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1123SubdomainPrefix")))),
    ("format.dns1035LabelPrefix() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("dns1035LabelPrefix")))),
    ("format.labelValue() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("labelValue")))),
    ("format.uri() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("uri")))),
    ("format.uuid() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("uuid")))),
    ("format.byte() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("byte")))),
    ("format.date() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("date")))),
    ("format.datetime() -> kubernetes.NamedFormat", |_, _| Ok(wrap(Named("datetime")))),
];

type Fits = fn(&str) -> bool;

/// Each with what is said of a text that has not the format.
const NAMES: &[(&str, Fits, &str)] = &[
    (
        "dns1123Label",
        form::dns_label,
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        "dns1123Subdomain",
        form::dns_subdomain,
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
    (
        "dns1035Label",
        form::dns_1035,
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        "qualifiedName",
        form::qualified_name,
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
    ),
    (
        "dns1123LabelPrefix",
        |text| form::dns_label(&unended(text)),
        "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        "dns1123SubdomainPrefix",
        |text| form::dns_subdomain(&unended(text)),
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')",
    ),
    (
        "dns1035LabelPrefix",
        |text| form::dns_1035(&unended(text)),
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')",
    ),
    (
        "labelValue",
        form::label_value,
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
    ),
    ("uri", |text| urls::parse(text).is_some(), "invalid URI for request"),
    ("uuid", uuid, "does not match the UUID format"),
    ("byte", byte, "invalid base64"),
    ("date", date, "invalid date"),
    ("datetime", |text| lib_cel::timestamp(text).is_some(), "invalid datetime"),
];

/// A prefix may end in `-`, as if something followed.
fn unended(text: &str) -> String {
    match text.strip_suffix('-') {
        Some(head) if !head.is_empty() => format!("{head}a"),
        _ => text.to_owned(),
    }
}

fn uuid(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| *c != '-').collect();
    let dashes_fine = text.match_indices('-').all(|(at, _)| matches!(at, 8 | 13 | 18 | 23));
    plain.len() == 32 && plain.bytes().all(|b| b.is_ascii_hexdigit()) && dashes_fine
}

fn byte(text: &str) -> bool {
    !text.is_empty() && text.len().is_multiple_of(4) && form::base64_bytes(text).is_some()
}

fn date(text: &str) -> bool {
    text.len() == 10 && lib_cel::timestamp(&format!("{text}T00:00:00Z")).is_some()
}

fn named(_: &mut Cx<'_>, args: &[Value]) -> Out {
    let [Value::Text(name)] = args else { return no("format.named") };
    let known = NAMES.iter().find(|(known, ..)| *known == &**name);
    Ok(known.map_or(Value::Optional(None), |(known, ..)| Value::some(wrap(Named(known)))))
}

fn validate(cx: &mut Cx<'_>, args: &[Value]) -> Out {
    let [format, Value::Text(text)] = args else { return no("validate") };
    let Some(format) = own::<Named>(format) else { return no("validate") };
    cx.pay_text(text.len() * 10)?;
    let known = NAMES.iter().find(|(known, ..)| *known == format.0);
    Ok(match known {
        Some((_, fits, what)) if !fits(text) => Value::some(vec![Value::from(*what)].into()),
        _ => Value::Optional(None),
    })
}
