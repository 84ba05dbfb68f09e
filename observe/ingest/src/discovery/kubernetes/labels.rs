//! Names of `__meta_kubernetes_*` labels, and what every object gives. It knows no role.

use std::collections::BTreeMap;

use base_signal::Labels;

use super::object::Meta;

const PREFIX: &str = "__meta_kubernetes_";

/// Labels as they are put together; empty values are dropped at the end, as Prometheus does.
#[derive(Clone, Debug, Default)]
pub(super) struct Set(BTreeMap<String, String>);

impl Set {
    /// With an address.
    pub(super) fn at(address: &str) -> Set {
        let mut set = Set::default();
        set.plain("__address__", address);
        set
    }

    pub(super) fn plain(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// A label whose name begins with `__meta_kubernetes_`.
    pub(super) fn meta(&mut self, name: &str, value: &str) {
        self.0.insert(format!("{PREFIX}{name}"), value.to_owned());
    }

    /// The same, where there is a value.
    pub(super) fn maybe(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.meta(name, value);
        }
    }

    /// Name, labels and annotations.
    pub(super) fn object(&mut self, role: &str, meta: &Meta) {
        self.meta(&format!("{role}_name"), &meta.name);
        self.metadata(role, meta);
    }

    /// Labels and annotations, each with a second label that says it is there: an empty value cannot.
    pub(super) fn metadata(&mut self, role: &str, meta: &Meta) {
        for (what, pairs) in [("label", &meta.labels), ("annotation", &meta.annotations)] {
            for (name, value) in pairs.iter() {
                let name = sanitized(name);
                self.meta(&format!("{role}_{what}_{name}"), value);
                self.meta(&format!("{role}_{what}present_{name}"), "true");
            }
        }
    }

    pub(super) fn extend(&mut self, other: &Set) {
        self.0.extend(other.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    pub(super) fn build(self) -> Labels {
        Labels::from_pairs(self.0.into_iter().filter(|(_, value)| !value.is_empty()))
    }
}

/// What may not stand in a label's name becomes `_`.
pub(super) fn sanitized(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect()
}

/// `host:port`; an IPv6 address gets its brackets.
pub(super) fn address(host: &str, port: i64) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}
