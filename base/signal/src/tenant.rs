//! Whose data it is. Every record carries a tenant; `anonymous` is the one of an engine without tenancy (Loki's is `fake`).

use std::fmt;
use std::sync::Arc;

#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(Arc<str>);

impl TenantId {
    /// Mimir's and Loki's rules: 1 to 150 bytes of letters, digits and ``!-_.*'()``, and neither `.` nor `..`.
    pub fn new(name: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"!-_.*'()".contains(&b);
        let good = (1..=150).contains(&name.len()) && name.bytes().all(fits) && name != "." && name != "..";
        good.then(|| TenantId(Arc::from(name)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    fn default() -> Self {
        TenantId(Arc::from("anonymous"))
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
