//! A target of several places: how it is written, on what its leases are, and how an object says where it is. A plan for one place knows nothing of
//! this. It does not know what a place is.
//!
//! One place is its own name, `kube:prod/shop`. Several are written `eu=kube:prod-eu/shop + us=kube:prod-us/shop`: a short name for people and objects,
//! and what the lease is on, which is the same for whoever changes that place alone. An object of such a plan has the short name before its kind:
//! `eu:Deployment.apps/shop/cart`.

use std::collections::BTreeSet;

use crate::{Failure, ObjectId, Step};

/// Between two places of a target.
const AND: &str = " + ";
/// A name is typed, and stands before every step.
const NAME_CHARS_MAX: usize = 40;

/// One of several places that a plan changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What people, steps and objects call it: lower case, digits and dashes.
    pub name: String,
    /// The target of whoever changes this place alone; the lease is on it.
    pub lease: String,
}

/// Whether a place may be called so.
pub fn is_site_name(name: &str) -> bool {
    let sign = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit() || sign == '-';
    (1..=NAME_CHARS_MAX).contains(&name.len()) && name.chars().all(sign) && !name.starts_with('-')
}

/// The places of a target that has several, in the order in which they were written; empty for any other.
pub fn sites(target: &str) -> Vec<Site> {
    let site = |part: &str| {
        let (name, lease) = part.split_once('=')?;
        // What stands alone says first what it is, with a colon, so it is never taken for a name.
        is_site_name(name).then(|| Site { name: name.to_owned(), lease: lease.to_owned() })
    };
    target.split(AND).map(site).collect::<Option<_>>().unwrap_or_default()
}

/// The target of these places.
pub fn target_of_sites(sites: &[Site]) -> String {
    sites.iter().map(|site| format!("{}={}", site.name, site.lease)).collect::<Vec<_>>().join(AND)
}

/// On what the leases of a target are, each once. Always in the same order, whatever the places are called and however they are written: who takes
/// them in it never waits for somebody who waits for him.
pub fn leases(target: &str) -> Vec<String> {
    let sites = sites(target);
    if sites.is_empty() {
        return vec![target.to_owned()];
    }
    let leases: BTreeSet<String> = sites.into_iter().map(|site| site.lease).collect();
    leases.into_iter().collect()
}

/// Whether two targets have a place in common.
pub fn overlaps(one: &str, other: &str) -> bool {
    let others = leases(other);
    leases(one).iter().any(|lease| others.contains(lease))
}

impl ObjectId {
    /// The same thing as one of a place.
    pub fn at_site(&self, site: &str) -> ObjectId {
        ObjectId { kind: format!("{site}:{}", self.kind), name: self.name.clone() }
    }

    /// The place that is named, and what the thing is called there.
    pub fn site(&self) -> Option<(&str, ObjectId)> {
        let (site, kind) = self.kind.split_once(':')?;
        is_site_name(site).then(|| (site, ObjectId::new(kind, self.name.clone())))
    }

    /// The place alone; empty where there is only one.
    pub fn site_name(&self) -> &str {
        self.kind.split_once(':').map(|(site, _)| site).filter(|site| is_site_name(site)).unwrap_or_default()
    }
}

impl Step {
    /// The place that it changes; empty where there is only one, or where it changes nothing.
    pub fn site_name(&self) -> &str {
        self.touches().first().map(ObjectId::site_name).unwrap_or_default()
    }
}

impl Failure {
    /// The same, told of a place.
    pub fn at_site(mut self, site: &str) -> Failure {
        self.message = format!("{site}: {}", self.message);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_says_where_its_leases_are() {
        let check = |target: &str, names: &[&str], expect: &[&str]| {
            let found: Vec<_> = sites(target).into_iter().map(|site| site.name).collect();
            assert_eq!(
                (found, leases(target)),
                (
                    names.iter().map(|name| (*name).to_owned()).collect(),
                    expect.iter().map(|lease| (*lease).to_owned()).collect()
                )
            );
        };
        check("docker:shop", &[], &["docker:shop"]);
        check("kube:a=b + c=d/shop", &[], &["kube:a=b + c=d/shop"]);
        check("us=kube:z/shop + eu=kube:a/shop", &["us", "eu"], &["kube:a/shop", "kube:z/shop"]);
        check("us=kube:a=b/shop", &["us"], &["kube:a=b/shop"]);
        let written = target_of_sites(&sites("us=kube:z/shop + eu=kube:a/shop"));
        assert_eq!(written, "us=kube:z/shop + eu=kube:a/shop");
        assert!(overlaps(&written, "kube:a/shop") && !overlaps(&written, "kube:b/shop"));
        assert!(overlaps("other=kube:a/shop + x=kube:q/shop", &written));
    }

    #[test]
    fn an_object_says_where_it_is() {
        let object = ObjectId::new("Deployment.apps", "shop/a:b");
        let there = object.at_site("eu");
        assert_eq!(there.to_string(), "eu:Deployment.apps/shop/a:b");
        assert_eq!(there.site(), Some(("eu", object.clone())));
        assert_eq!((there.site_name(), object.site_name(), object.site()), ("eu", "", None));
    }
}
