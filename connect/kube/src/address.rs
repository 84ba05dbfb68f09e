//! Which object, in the API server's words: group, version, resource, namespace, name, and the path they make. It asks no server.

use std::fmt;

use crate::Target;

/// A kind of object as the API server's paths name it. Made of discovery ([`crate::Kinds`]) or, for kinds everybody knows, by hand.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Resource {
    /// Empty for the core group.
    pub group: String,
    pub version: String,
    /// `Deployment`
    pub kind: String,
    /// `deployments`
    pub plural: String,
    pub namespaced: bool,
}

impl Resource {
    /// A namespaced kind: `Resource::namespaced("apps/v1", "Deployment", "deployments")`.
    pub fn namespaced(api_version: &str, kind: &str, plural: &str) -> Self {
        Self::of(api_version, kind, plural, true)
    }

    /// A kind of the whole cluster.
    pub fn cluster_wide(api_version: &str, kind: &str, plural: &str) -> Self {
        Self::of(api_version, kind, plural, false)
    }

    fn of(api_version: &str, kind: &str, plural: &str, namespaced: bool) -> Self {
        let (group, version) = split_api_version(api_version);
        Self { group, version, kind: kind.into(), plural: plural.into(), namespaced }
    }

    /// `v1`, `apps/v1`
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// As `kubectl` and refusals name it: `pods`, `deployments.apps`.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// `/apis/apps/v1`
    fn root(&self) -> String {
        match self.group.as_str() {
            "" => format!("/api/{}", segment(&self.version)),
            group => format!("/apis/{}/{}", segment(group), segment(&self.version)),
        }
    }

    /// All of a namespace, or of the cluster.
    pub(crate) fn collection(&self, namespace: Option<&str>) -> String {
        match namespace.filter(|_| self.namespaced) {
            Some(namespace) => format!("{}/namespaces/{}/{}", self.root(), segment(namespace), segment(&self.plural)),
            None => format!("{}/{}", self.root(), segment(&self.plural)),
        }
    }

    pub(crate) fn target(&self, namespace: Option<&str>, name: &str) -> Target {
        let namespace = namespace.filter(|_| self.namespaced).unwrap_or_default();
        Target { resource: self.full_name(), namespace: namespace.into(), name: name.into() }
    }

    /// The object of this kind with this name; the namespace counts only for kinds that have one.
    pub fn at(&self, namespace: &str, name: &str) -> ObjectAt {
        let namespace = if self.namespaced { namespace } else { "" };
        ObjectAt { resource: self.clone(), namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Resource {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{} ({})", self.kind, self.api_version())
    }
}

/// `apps/v1` to its group and version; the core group has no slash.
pub(crate) fn split_api_version(api_version: &str) -> (String, String) {
    match api_version.split_once('/') {
        Some((group, version)) => (group.into(), version.into()),
        None => (String::new(), api_version.into()),
    }
}

/// One object of the cluster, there or not.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectAt {
    pub resource: Resource,
    /// Empty for kinds of the whole cluster.
    pub namespace: String,
    pub name: String,
}

impl ObjectAt {
    /// The path of the object or of something below it (`status`, `scale`, `log`).
    pub(crate) fn path(&self, below: Option<&str>) -> String {
        let path = format!("{}/{}", self.resource.collection(Some(&self.namespace)), segment(&self.name));
        below.map_or(path.clone(), |below| format!("{path}/{}", segment(below)))
    }

    pub(crate) fn target(&self) -> Target {
        self.resource.target(Some(&self.namespace), &self.name)
    }
}

impl fmt::Display for ObjectAt {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target().fmt(to)
    }
}

/// What tells one object of a kind from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ObjectKey {
    /// Empty for kinds of the whole cluster.
    pub namespace: String,
    pub name: String,
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            to.write_str(&self.name)
        } else {
            write!(to, "{}/{}", self.namespace, self.name)
        }
    }
}

/// A name as one segment of a path: RBAC's names have colons, a hostile one could have slashes.
pub(crate) fn segment(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b':' | b'@' => {
                out.push(char::from(byte))
            }
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    // `..` would leave the path it stands in; an empty one would name the collection.
    match out.as_str() {
        "" => "%00".into(),
        "." | ".." => out.replace('.', "%2E"),
        _ => out,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resource: &Resource, namespace: &str, name: &str, expect: &str) {
        assert_eq!(resource.at(namespace, name).path(None), expect);
    }

    #[test]
    fn paths_are_the_server_s() {
        let pod = Resource::namespaced("v1", "Pod", "pods");
        let role = Resource::cluster_wide("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles");
        check(&pod, "shop", "web-1", "/api/v1/namespaces/shop/pods/web-1");
        check(&pod, "shop", "../secrets/x", "/api/v1/namespaces/shop/pods/..%2Fsecrets%2Fx");
        check(&pod, "..", "a", "/api/v1/namespaces/%2E%2E/pods/a");
        check(&pod, "shop", "", "/api/v1/namespaces/shop/pods/%00");
        check(&role, "ignored", "system:node", "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node");
        assert_eq!(pod.collection(None), "/api/v1/pods");
        assert_eq!(pod.at("shop", "web").path(Some("log")), "/api/v1/namespaces/shop/pods/web/log");
        assert_eq!(role.full_name(), "clusterroles.rbac.authorization.k8s.io");
    }
}
