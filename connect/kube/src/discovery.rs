//! Which kinds the server knows: aggregated discovery (`apidiscovery.k8s.io/v2`), else group by group as older servers want it.
//! Source: <https://kubernetes.io/docs/concepts/overview/kubernetes-api/#discovery-api>. It keeps nothing: how long an answer is good is the caller's.

use serde::Deserialize;
use serde_json::Value;

use crate::call::Call;
use crate::{Cluster, KubeError, Resource, Result, Target};

const ACCEPT: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";
/// More than any cluster serves.
const KINDS_MAX: usize = 50_000;

/// A kind of object and what the server says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    pub resource: Resource,
    /// `deployment`
    pub singular: String,
    /// `deploy`
    pub short: Vec<String>,
    /// create, get, list, patch, watch …
    pub verbs: Vec<String>,
    /// `scale`, `status` …
    pub subresources: Vec<String>,
    /// Of the versions of its group this is the one the server prefers.
    pub preferred: bool,
}

/// All kinds of a server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kinds {
    pub kinds: Vec<Kind>,
    /// Group and version of aggregated servers that do not answer: their kinds may be missing.
    pub silent: Vec<String>,
}

impl Kinds {
    /// `("apps/v1", "Deployment")`; also of a version that is not preferred.
    pub fn of(&self, api_version: &str, kind: &str) -> Option<&Kind> {
        self.kinds.iter().find(|known| known.resource.kind == kind && known.resource.api_version() == api_version)
    }

    /// The kind in the version its group prefers, else in any.
    pub fn preferred(&self, group: &str, kind: &str) -> Option<&Kind> {
        let same = |known: &&Kind| known.resource.kind == kind && known.resource.group == group;
        self.kinds.iter().filter(same).max_by_key(|known| known.preferred)
    }

    /// As a person names it to kubectl: `deploy`, `deployments`, `deployment.apps`, `deployments.v1.apps`, in any case. Without a group the core group
    /// comes first, then the others in the server's order.
    pub fn named(&self, name: &str) -> Option<&Kind> {
        let name = name.to_ascii_lowercase();
        let (plain, group) = name.split_once('.').map_or((name.as_str(), None), |(plain, group)| (plain, Some(group)));
        let called = |known: &Kind| {
            known.resource.plural == plain
                || known.singular == plain
                || known.resource.kind.to_ascii_lowercase() == plain
                || known.short.iter().any(|short| short == plain)
        };
        let of_group = |known: &Kind| match group {
            None => known.preferred,
            Some(group) => {
                (known.resource.group == group && known.preferred)
                    || group.split_once('.').is_some_and(|(version, group)| {
                        known.resource.version == version && known.resource.group == group
                    })
                    || (known.resource.group.is_empty() && known.resource.version == group)
            }
        };
        let mut found: Vec<&Kind> = self.kinds.iter().filter(|known| called(known) && of_group(known)).collect();
        found.sort_by_key(|known| !known.resource.group.is_empty());
        found.into_iter().next()
    }
}

#[derive(Deserialize)]
struct Aggregated {
    items: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Group {
    metadata: GroupMeta,
    versions: Vec<Version>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct GroupMeta {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Version {
    version: String,
    resources: Vec<Served>,
    freshness: String,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Served {
    resource: String,
    response_kind: Option<ResponseKind>,
    scope: String,
    singular_resource: String,
    short_names: Vec<String>,
    verbs: Vec<String>,
    subresources: Vec<Below>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseKind {
    kind: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Below {
    subresource: String,
}

/// `metav1.APIResourceList`
#[derive(Default, Deserialize)]
#[serde(default)]
struct OldList {
    resources: Vec<OldResource>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct OldResource {
    name: String,
    singular_name: String,
    namespaced: bool,
    kind: String,
    verbs: Vec<String>,
    short_names: Vec<String>,
}

impl Cluster {
    /// All kinds the server serves now.
    pub async fn kinds(&self) -> Result<Kinds> {
        let mut kinds = Kinds::default();
        for root in ["/api", "/apis"] {
            let call = Call::get(root.into(), "get", Target::words("the server's kinds")).accept(ACCEPT);
            let doing = call.doing();
            let answer = self.json(call).await?;
            if answer["kind"] == "APIGroupDiscoveryList" {
                let aggregated = serde_json::from_value(answer).map_err(|error| crate::call::garbled(doing, &error))?;
                kinds.take(aggregated);
            } else {
                self.old_kinds(root, &answer, &mut kinds).await?;
            }
        }
        Ok(kinds)
    }

    /// The kinds of one group and version, whatever the rest of the server does; `None` when it serves no such version.
    pub async fn kinds_of(&self, api_version: &str) -> Result<Option<Vec<Kind>>> {
        let (group, version) = crate::address::split_api_version(api_version);
        match self.old_list(&group, &version).await {
            Ok(list) => Ok(Some(old_kinds(&group, &version, false, list))),
            Err(KubeError::NotFound { .. } | KubeError::NoSuchKind { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `/api` lists versions, `/apis` groups with theirs.
    async fn old_kinds(&self, root: &str, answer: &Value, into: &mut Kinds) -> Result<()> {
        let texts = |value: &Value, key: &str| -> Vec<String> {
            let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
            items
                .iter()
                .filter_map(|item| if key.is_empty() { item.as_str() } else { item[key].as_str() })
                .map(str::to_owned)
                .collect()
        };
        let groups: Vec<(String, Vec<String>, String)> = if root == "/api" {
            let versions = texts(&answer["versions"], "");
            let preferred = versions.first().cloned().unwrap_or_default();
            vec![(String::new(), versions, preferred)]
        } else {
            let groups = answer["groups"].as_array().map(Vec::as_slice).unwrap_or_default();
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let group = |group: &Value| {
                (
                    text(&group["name"]),
                    texts(&group["versions"], "version"),
                    text(&group["preferredVersion"]["version"]),
                )
            };
            groups.iter().map(group).collect()
        };
        for (group, versions, preferred) in groups {
            for version in versions {
                match self.old_list(&group, &version).await {
                    Ok(list) => into.kinds.extend(old_kinds(&group, &version, version == preferred, list)),
                    // An aggregated server that is gone must not hide all others.
                    Err(KubeError::Unready { .. } | KubeError::NotFound { .. } | KubeError::NoSuchKind { .. }) => {
                        into.silent.push(format!("{group}/{version}"));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
        into.kinds.truncate(KINDS_MAX);
        Ok(())
    }

    async fn old_list(&self, group: &str, version: &str) -> Result<OldList> {
        let path = Resource::cluster_wide(
            &if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") },
            "",
            "x",
        )
        .collection(None);
        let path = path.trim_end_matches("/x").to_owned();
        let call = Call::get(path, "get", Target::words(&format!("the kinds of {group}/{version}")));
        Ok(self.typed(call).await?.value)
    }
}

impl Kinds {
    fn take(&mut self, aggregated: Aggregated) {
        for group in aggregated.items {
            let mut preferred = true;
            for version in group.versions {
                if version.freshness == "Stale" {
                    self.silent.push(format!("{}/{}", group.metadata.name, version.version));
                }
                for served in version.resources.into_iter().take(KINDS_MAX.saturating_sub(self.kinds.len())) {
                    let resource = Resource {
                        group: group.metadata.name.clone(),
                        version: version.version.clone(),
                        kind: served.response_kind.unwrap_or_default().kind,
                        plural: served.resource,
                        namespaced: served.scope == "Namespaced",
                    };
                    let subresources = served.subresources.into_iter().map(|below| below.subresource).collect();
                    let (singular, short, verbs) = (served.singular_resource, served.short_names, served.verbs);
                    self.kinds.push(Kind { resource, singular, short, verbs, subresources, preferred });
                }
                preferred = false;
            }
        }
    }
}

fn old_kinds(group: &str, version: &str, preferred: bool, list: OldList) -> Vec<Kind> {
    let (below, kinds): (Vec<_>, Vec<_>) =
        list.resources.into_iter().take(KINDS_MAX).partition(|resource| resource.name.contains('/'));
    let kind = |old: OldResource| {
        let prefix = format!("{}/", old.name);
        let subresources =
            below.iter().filter_map(|below| below.name.strip_prefix(&prefix)).map(str::to_owned).collect();
        let resource = Resource {
            group: group.into(),
            version: version.into(),
            kind: old.kind,
            plural: old.name,
            namespaced: old.namespaced,
        };
        Kind {
            resource,
            singular: old.singular_name,
            short: old.short_names,
            verbs: old.verbs,
            subresources,
            preferred,
        }
    };
    kinds.into_iter().map(kind).collect()
}
