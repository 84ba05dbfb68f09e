//! What we may do, by the server's own judgement. A review the server cannot make is an error, never a no.

use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::call::{Call, JSON};
use crate::{Cluster, Resource, Result, Target};

/// May we do this?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessQuestion {
    /// get, list, watch, create, update, patch, delete, deletecollection …
    pub verb: String,
    pub resource: Resource,
    /// `scale`, `log`, `eviction` …
    pub subresource: Option<String>,
    /// `None`: in the whole cluster.
    pub namespace: Option<String>,
    /// `None`: all of them.
    pub name: Option<String>,
}

impl AccessQuestion {
    pub fn new(verb: &str, resource: &Resource, namespace: Option<&str>) -> Self {
        let namespace = namespace.filter(|_| resource.namespaced).map(str::to_owned);
        Self { verb: verb.to_owned(), resource: resource.clone(), subresource: None, namespace, name: None }
    }
}

/// The server's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Access {
    pub allowed: bool,
    /// Refused by a rule; otherwise only not allowed by any.
    pub denied: bool,
    /// Which binding allows it.
    pub reason: String,
    /// What kept the server from judging all of it: with this, a no is not certain.
    pub evaluation_error: String,
}

/// What we may do in a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// verbs, groups, resources, names: each list may hold `*`.
    pub rules: Vec<Rule>,
    /// The server could not list all: what is not here may still be allowed.
    pub incomplete: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Rule {
    pub verbs: Vec<String>,
    pub api_groups: Vec<String>,
    pub resources: Vec<String>,
    pub resource_names: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct RulesStatus {
    resource_rules: Option<Vec<Rule>>,
    incomplete: bool,
}

const REVIEWS: &str = "/apis/authorization.k8s.io/v1";

impl Cluster {
    /// SelfSubjectAccessReview.
    pub async fn may(&self, question: &AccessQuestion) -> Result<Access> {
        let mut attributes = json!({"verb": question.verb, "group": question.resource.group, "version": question.resource.version, "resource": question.resource.plural});
        for (key, value) in
            [("subresource", &question.subresource), ("namespace", &question.namespace), ("name", &question.name)]
        {
            if let Some(value) = value {
                attributes[key] = value.as_str().into();
            }
        }
        self.review("SelfSubjectAccessReview", json!({"resourceAttributes": attributes})).await
    }

    /// SelfSubjectRulesReview.
    pub async fn rules(&self, namespace: &str) -> Result<Rules> {
        let status: RulesStatus = self.review("SelfSubjectRulesReview", json!({"namespace": namespace})).await?;
        Ok(Rules { rules: status.resource_rules.unwrap_or_default(), incomplete: status.incomplete })
    }

    async fn review<T: for<'de> Deserialize<'de> + Default>(&self, kind: &str, spec: Value) -> Result<T> {
        #[derive(Deserialize)]
        struct Review<T> {
            status: T,
        }
        let path = format!("{REVIEWS}/{}s", kind.to_ascii_lowercase());
        let body = json!({"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec});
        let call = Call::new(Method::POST, path, "ask for", Target::words("our own rights")).body(JSON, &body);
        Ok(self.typed::<Review<T>>(call).await?.value.status)
    }
}
