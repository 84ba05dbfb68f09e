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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_as_mimir_and_loki_take_them() {
        let long = "x".repeat(150);
        for good in ["a", "team-1", "A!-_.*'()", "...", long.as_str()] {
            let tenant = TenantId::new(good).unwrap_or_else(|| panic!("{good}"));
            assert_eq!((tenant.to_string(), format!("{tenant:?}").as_str()), (good.to_owned(), good));
        }
        let too_long = "x".repeat(151);
        for bad in ["", ".", "..", "a/b", "a b", "a|b", "é", too_long.as_str()] {
            assert_eq!(TenantId::new(bad), None, "{bad}");
        }
        assert_eq!(TenantId::default().as_str(), "anonymous");
    }
}
