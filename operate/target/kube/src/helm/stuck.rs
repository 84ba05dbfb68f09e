//! Releases whose newest record says that a program is at work: they may hang. It reads labels, no record, and changes nothing.

use std::collections::BTreeMap;

use connect_kube::{Cluster, ListOptions, Result};
use serde_json::Value;

use super::records::secrets;

const RECORDS_MAX: usize = 20_000;

/// A release in pending-*.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stuck {
    pub namespace: String,
    pub name: String,
    pub revision: u64,
    /// `pending-upgrade`
    pub status: String,
    /// Since when, milliseconds since 1970; 0 when nobody knows.
    pub since_ms: i64,
    /// The revision that was deployed last; `None`: none ever was.
    pub to: Option<u64>,
}

/// Those of a namespace, or of all.
pub async fn stuck(cluster: &Cluster, namespace: Option<&str>) -> Result<Vec<Stuck>> {
    let pending = "owner=helm,status in (pending-install,pending-upgrade,pending-rollback)";
    let pending = cluster.list(&secrets(), namespace, &ListOptions::labelled(pending), RECORDS_MAX).await?;
    let mut found = Vec::new();
    for secret in &pending {
        let (Some(namespace), Some(name)) = (text(secret, "namespace"), label(secret, "name")) else { continue };
        let all = ListOptions::labelled(&format!("owner=helm,name={name}"));
        let all = cluster.list(&secrets(), Some(namespace), &all, RECORDS_MAX).await?;
        let by_revision: BTreeMap<u64, &Value> = all.iter().map(|secret| (revision(secret), secret)).collect();
        // An older one that hung is passed by now.
        let Some((newest, secret)) = by_revision.iter().next_back().filter(|(newest, _)| **newest == revision(secret))
        else {
            continue;
        };
        let of = |status: &str| {
            by_revision
                .iter()
                .rev()
                .find(|(_, one)| label(one, "status") == Some(status))
                .map(|(revision, _)| *revision)
        };
        let made: Option<jiff::Timestamp> = text(secret, "creationTimestamp").and_then(|text| text.parse().ok());
        found.push(Stuck {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            revision: *newest,
            status: label(secret, "status").unwrap_or_default().to_owned(),
            since_ms: made.map_or(0, |made| made.as_millisecond()),
            to: of("deployed").or_else(|| of("superseded")),
        });
    }
    Ok(found)
}

fn text<'a>(secret: &'a Value, name: &str) -> Option<&'a str> {
    secret["metadata"][name].as_str()
}

fn label<'a>(secret: &'a Value, name: &str) -> Option<&'a str> {
    secret["metadata"]["labels"][name].as_str()
}

fn revision(secret: &Value) -> u64 {
    label(secret, "version").and_then(|text| text.parse().ok()).unwrap_or(0)
}
