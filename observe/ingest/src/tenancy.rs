//! Whose request it is. Knows one header and one setting; whether a sender may speak for a tenant is the API's matter.

use base_signal::TenantId;

/// The header that names a tenant, as in Mimir, Loki and Tempo.
pub const TENANT_HEADER: &str = "X-Scope-OrgID";

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// Maps to 401, as Loki and Mimir answer.
    #[error("no org id: with tenancy on, a request needs the header {TENANT_HEADER}")]
    Missing,
    #[error(
        "tenant {0:?} in {TENANT_HEADER} is not allowed: 1 to 150 letters, digits and !-_.*'() are, but not `.`, `..` or `|`"
    )]
    Invalid(String),
}

/// The tenant of a request. Without `tenancy` the header is ignored, as Loki ignores it, and all data is one tenant's.
pub fn tenant_of(header: Option<&str>, tenancy: bool) -> Result<TenantId, TenantError> {
    if !tenancy {
        return Ok(TenantId::default());
    }
    let name = header.map(str::trim).filter(|name| !name.is_empty()).ok_or(TenantError::Missing)?;
    TenantId::new(name).ok_or_else(|| TenantError::Invalid(name.chars().take(160).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, tenancy: bool, expect: Result<&str, &str>) {
        let found = tenant_of(header, tenancy);
        let found = found.as_ref().map(TenantId::as_str).map_err(|e| e.to_string());
        assert_eq!(found, expect.map_err(str::to_owned), "{header:?} {tenancy}");
    }

    #[test]
    fn the_header_counts_only_with_tenancy() {
        check(None, false, Ok("anonymous"));
        check(Some("a|b"), false, Ok("anonymous"));
        check(Some(" team-a "), true, Ok("team-a"));
        check(None, true, Err("no org id: with tenancy on, a request needs the header X-Scope-OrgID"));
        check(Some(""), true, Err("no org id: with tenancy on, a request needs the header X-Scope-OrgID"));
        assert!(matches!(tenant_of(Some("../x"), true), Err(TenantError::Invalid(_))));
    }
}
