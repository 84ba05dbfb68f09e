//! Says of each object what an API server of a minor version would: first its fields and types, then what no schema says, kind by kind. Asks no server,
//! so it knows no quota, no webhook, and no object that is not among those it was given.

mod at;
mod bounds;
mod budget;
mod custom;
mod definition;
mod expressions;
mod fields;
mod finding;
mod junctors;
mod schema;
mod shape;
mod told;

use std::sync::Arc;

use ahash::AHashMap;

pub(crate) use at::{At, is_null};
pub use custom::CustomKinds;
pub(crate) use definition::definition;
pub(crate) use finding::Out;
pub use finding::{Finding, RULES, Rule, Severity, Verdict, rule};
pub use schema::{MINOR_NEWEST, MINOR_OLDEST};
pub use told::catalogue;

use crate::object::Object;
use crate::rules;
pub(crate) use schema::Schemas;

/// Against which API is validated.
#[derive(Debug, Clone, Default)]
pub struct Target {
    /// The minor version, as 34 of 1.34; newer ones than are known are read as the newest known.
    pub minor: u8,
}

/// Whether objects of a kind live in a namespace; nothing is known of kinds that are not the API's own.
pub fn namespaced(api_version: &str, kind: &str, target: &Target) -> Option<bool> {
    let minor = target.minor.clamp(MINOR_OLDEST, MINOR_NEWEST);
    Schemas::embedded().kind(api_version, kind, minor).map(|kind| kind.namespaced)
}

/// What an API server of the target would say of each object, in their order. CustomResourceDefinitions among them define kinds for the others.
pub fn validate(objects: &[Object], target: &Target) -> Vec<Verdict> {
    let custom = CustomKinds::of(objects);
    let mut twins: AHashMap<(&str, &str, &str, &str), &Object> = AHashMap::new();
    objects
        .iter()
        .map(|object| {
            let mut verdict = validate_one(object, &custom, target);
            let id = &object.identity;
            if !id.name.is_empty() {
                let key =
                    (id.group(), id.kind.as_str(), id.namespace.as_deref().unwrap_or("default"), id.name.as_str());
                if let Some(first) = twins.insert(key, object) {
                    let mut out = Out::default();
                    let what = format!("{id} is here twice; it stands at {}:{} already", first.file, first.line());
                    out.warn(
                        &At::root(&object.node).get("metadata").get("name"),
                        "object/twice",
                        what,
                        "keep one of them, or rename one",
                    );
                    verdict.findings.extend(out.findings);
                }
            }
            verdict
        })
        .collect()
}

/// As [`validate`], for one object.
pub fn validate_one(object: &Object, custom: &CustomKinds, target: &Target) -> Verdict {
    let minor = target.minor.clamp(MINOR_OLDEST, MINOR_NEWEST);
    let mut out = Out { minor, newer: target.minor > MINOR_NEWEST, ..Out::default() };
    let id = &object.identity;
    let root = At::root(&object.node);
    let schemas = Schemas::embedded();
    match schemas.kind(&id.api_version, &id.kind, minor) {
        Some(kind) => {
            fields::check(schemas, &root, kind.definition, minor, &mut out);
            // A server that cannot decode an object looks at nothing else of it.
            if out.findings.iter().all(|finding| finding.severity == Severity::Warning) {
                rules::check(object, &mut out);
            }
        }
        None => match custom.get(&id.api_version, &id.kind) {
            Some(kind) => {
                rules::metadata(&root, rules::Names::Subdomain, &mut out);
                fields::metadata(schemas, &root, minor, &mut out);
                custom::check(kind, &root, &mut out);
            }
            None => unknown_kind(&root, object, schemas, minor, &mut out),
        },
    }
    Verdict {
        identity: id.clone(),
        file: Arc::clone(&object.file),
        line: object.line(),
        findings: out.findings,
        not_checked: out.not_checked,
    }
}

fn unknown_kind(root: &At<'_>, object: &Object, schemas: &Schemas, minor: u8, out: &mut Out) {
    let id = &object.identity;
    let (kind, api) = (root.get("kind"), root.get("apiVersion"));
    let ours = schemas.has_group(id.group());
    match schemas.elsewhere(id.group(), &id.kind, minor) {
        Some(version) => {
            let what = format!("Kubernetes 1.{minor} has no `{}` in `{}`", id.kind, id.api_version);
            out.error(&api, "kind/version", what, format!("write `apiVersion: {version}`"));
        }
        None if ours => {
            let what = format!("Kubernetes 1.{minor} has no kind `{}` in `{}`", id.kind, id.api_version);
            let near = schemas.nearest_kind(&id.kind, minor);
            let fix = near.map_or_else(
                || "is it spelt as the API does?".to_owned(),
                |(version, kind)| format!("is `{kind}` of `{version}` meant?"),
            );
            out.error(&kind, "kind/unknown", what, fix);
        }
        // Its definition may be in the cluster.
        None => {
            rules::metadata(root, rules::Names::Any, out);
            fields::metadata(schemas, root, minor, out);
            out.not_checked.push(format!(
                "`{}` of `{}` is a kind whose CustomResourceDefinition is not among the files",
                id.kind, id.api_version
            ));
        }
    }
}
