//! Metadata: names by the rule of the kind, labels, annotations, owners. Knows no spec.

use super::words::{named, wanted};
use crate::format;
use crate::validate::{At, Out};

/// Bytes of all annotations together.
const ANNOTATIONS_MAX: usize = 256 << 10;

/// The form of an object's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Names {
    Subdomain,
    Label,
    /// A label that begins with a letter.
    Label1035,
    Segment,
    /// A subdomain, or nothing.
    Optional,
    /// The kind is not known.
    Any,
}

impl Names {
    pub(crate) fn of(group: &str, kind: &str, minor: u8) -> Self {
        match (group, kind) {
            // Since 1.34 servers may be told to take names of Services that begin with a digit.
            ("", "Service") => {
                if minor >= 34 {
                    Names::Label
                } else {
                    Names::Label1035
                }
            }
            ("", "Namespace") | ("apps", "StatefulSet") => Names::Label,
            ("rbac.authorization.k8s.io" | "certificates.k8s.io", _) => Names::Segment,
            ("apiregistration.k8s.io", _) => Names::Segment,
            ("", "LimitRange") => Names::Optional,
            // Not looked at by the server.
            ("policy", "PodDisruptionBudget") => Names::Any,
            _ => Names::Subdomain,
        }
    }

    fn fits(self, name: &str) -> bool {
        match self {
            Names::Subdomain | Names::Optional => format::dns_subdomain(name),
            Names::Label => format::dns_label(name),
            Names::Label1035 => format::dns_1035(name),
            Names::Segment => format::path_segment(name),
            Names::Any => !name.is_empty(),
        }
    }

    fn form(self) -> &'static str {
        match self {
            Names::Subdomain | Names::Optional => {
                "lower-case letters, digits, `-` and `.`, at most 253, a letter or digit at both ends"
            }
            Names::Label => "lower-case letters, digits and `-`, at most 63, a letter or digit at both ends",
            Names::Label1035 => "lower-case letters, digits and `-`, at most 63, a letter first",
            Names::Segment | Names::Any => "no `/`, no `%`, not `.` or `..`",
        }
    }
}

/// The object's own metadata.
pub(crate) fn metadata(root: &At<'_>, names: Names, out: &mut Out) {
    let metadata = root.get("metadata");
    let (name, generated) = (metadata.get("name"), metadata.get("generateName"));
    match (name.str(), generated.str()) {
        // The server makes a name of its own.
        ("", "") if names == Names::Optional => {}
        ("", "") => out.error(&name, "field/required", "the object has no name", "set `metadata.name`"),
        // The server adds five letters to what it is given, and a dash may end it so.
        ("", start) => {
            let whole = format!("{}x", start.chars().take(58).collect::<String>());
            if !names.fits(&whole) {
                out.error(&generated, "format/name", format!("no name can begin with `{start}`"), names.form());
            }
        }
        (text, _) if !names.fits(text) => {
            out.error(&name, "format/name", format!("`{text}` is no name for this kind"), names.form())
        }
        _ => {}
    }
    named(&metadata.get("namespace"), format::dns_label, "DNS label", out);
    labels(&metadata.get("labels"), out);
    annotations(&metadata.get("annotations"), out);
    let owners = metadata.get("ownerReferences");
    for owner in owners.items() {
        for key in ["apiVersion", "kind", "name", "uid"] {
            wanted(&owner.get(key), key, out);
        }
    }
    let finalizers = metadata.get("finalizers");
    for finalizer in finalizers.items() {
        named(&finalizer, format::qualified_name, "qualified name", out);
    }
}

/// The levels of pod security that a namespace asks for.
pub(crate) fn pod_security(root: &At<'_>, out: &mut Out) {
    let metadata = root.get("metadata");
    let labels = metadata.get("labels");
    for mode in ["enforce", "audit", "warn"] {
        let key = format!("pod-security.kubernetes.io/{mode}");
        for (_, level) in labels.pairs().filter(|(known, _)| *known == key) {
            if !matches!(level.str(), "privileged" | "baseline" | "restricted") {
                out.error(
                    &level,
                    "format/value",
                    format!("`{}` is no level of pod security", level.str()),
                    "write privileged, baseline or restricted",
                );
            }
        }
    }
}

pub(crate) fn labels(labels: &At<'_>, out: &mut Out) {
    for (key, value) in labels.pairs() {
        if !format::qualified_name(key) {
            out.error(
                &value,
                "format/name",
                format!("`{key}` is no label key"),
                "at most 63 letters, digits, `-`, `_` and `.`, behind an optional domain and `/`",
            );
        }
        named(&value, format::label_value, "label value", out);
    }
}

pub(crate) fn annotations(annotations: &At<'_>, out: &mut Out) {
    let mut bytes = 0;
    for (key, value) in annotations.pairs() {
        bytes += key.len() + value.str().len();
        if !format::qualified_name(&key.to_lowercase()) {
            out.error(
                &value,
                "format/name",
                format!("`{key}` is no annotation key"),
                "at most 63 letters, digits, `-`, `_` and `.`, behind an optional domain and `/`",
            );
        }
    }
    if bytes > ANNOTATIONS_MAX {
        out.error(
            annotations,
            "size/limit",
            format!("the annotations have {bytes} bytes"),
            format!("at most {ANNOTATIONS_MAX} together"),
        );
    }
}
