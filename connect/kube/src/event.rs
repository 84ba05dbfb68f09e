//! Events of an object: what schedulers, kubelets and controllers said about it. `v1` and `events.k8s.io/v1` are two faces of the same records; the
//! first can be asked by object, the second is asked where the first may not be read.

use serde_json::Value;

use crate::object::text;
use crate::{Cluster, KubeError, ListOptions, ObjectAt, Resource, Result};

/// More of one object than anyone reads; the server forgets them after an hour.
const EVENTS_MAX: usize = 10_000;

/// Something that was said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// `Normal`, `Warning`
    pub kind: String,
    /// `FailedScheduling`, `BackOff`, `Unhealthy` …
    pub reason: String,
    pub message: String,
    /// `default-scheduler`, `kubelet` …
    pub source: String,
    /// RFC 3339, first and last time.
    pub first: String,
    pub last: String,
    /// How often.
    pub count: u64,
    /// `spec.containers{web}`, or empty.
    pub field: String,
    pub object_uid: String,
}

impl Event {
    /// From either face; what one does not have is empty.
    pub fn of(event: &Value) -> Self {
        let first_of = |pointers: &[&str]| {
            let mut found = pointers.iter().map(|pointer| text(event, pointer)).filter(|text| !text.is_empty());
            found.next().unwrap_or_default().to_owned()
        };
        let counts = ["/series/count", "/count", "/deprecatedCount"];
        let count = counts.iter().find_map(|pointer| event.pointer(pointer)?.as_u64().filter(|count| *count > 0));
        let created = "/metadata/creationTimestamp";
        Self {
            kind: first_of(&["/type"]),
            reason: first_of(&["/reason"]),
            message: first_of(&["/message", "/note"]),
            source: first_of(&[
                "/source/component",
                "/reportingComponent",
                "/reportingController",
                "/deprecatedSource/component",
            ]),
            first: first_of(&["/firstTimestamp", "/deprecatedFirstTimestamp", "/eventTime", created]),
            last: first_of(&[
                "/series/lastObservedTime",
                "/lastTimestamp",
                "/deprecatedLastTimestamp",
                "/eventTime",
                created,
            ]),
            count: count.unwrap_or(1),
            field: first_of(&["/involvedObject/fieldPath", "/regarding/fieldPath"]),
            object_uid: first_of(&["/involvedObject/uid", "/regarding/uid"]),
        }
    }
}

impl Cluster {
    /// Events of an object, oldest first. With a `uid` only of that very object; events of cluster-wide objects are in `default`.
    pub async fn events(&self, at: &ObjectAt, uid: Option<&str>) -> Result<Vec<Event>> {
        let namespace = if at.namespace.is_empty() { "default" } else { &at.namespace };
        let list = async |api_version: &str, object: &str| {
            let mut fields = format!("{object}.name={},{object}.kind={}", at.name, at.resource.kind);
            if let Some(uid) = uid {
                fields.push_str(&format!(",{object}.uid={uid}"));
            }
            let options = ListOptions { fields: Some(fields), ..ListOptions::default() };
            self.list(&Resource::namespaced(api_version, "Event", "events"), Some(namespace), &options, EVENTS_MAX)
                .await
        };
        let found = match list("v1", "involvedObject").await {
            Err(KubeError::Permission { .. }) => list("events.k8s.io/v1", "regarding").await?,
            other => other?,
        };
        let mut events: Vec<Event> = found.iter().map(Event::of).collect();
        events.sort_by(|a, b| a.last.cmp(&b.last));
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Event;

    #[test]
    fn both_faces_read_alike() {
        let core = json!({"type": "Warning", "reason": "BackOff", "message": "again", "source": {"component": "kubelet"}, "count": 3,
            "firstTimestamp": "2026-11-21T20:00:00Z", "lastTimestamp": "2026-11-21T20:05:00Z", "eventTime": null,
            "involvedObject": {"uid": "u", "fieldPath": "spec.containers{web}"}});
        let new = json!({"type": "Warning", "reason": "BackOff", "note": "again", "reportingController": "kubelet", "deprecatedCount": 3,
            "deprecatedFirstTimestamp": "2026-11-21T20:00:00Z", "deprecatedLastTimestamp": "2026-11-21T20:05:00Z", "eventTime": null,
            "regarding": {"uid": "u", "fieldPath": "spec.containers{web}"}});
        assert_eq!(Event::of(&core), Event::of(&new));
        assert_eq!((Event::of(&new).count, Event::of(&new).last.as_str()), (3, "2026-11-21T20:05:00Z"));
        let once = json!({"type": "Normal", "eventTime": "2026-11-21T20:00:00.000001Z", "metadata": {"creationTimestamp": "2026-11-21T20:00:00Z"}});
        assert_eq!((Event::of(&once).count, Event::of(&once).first.as_str()), (1, "2026-11-21T20:00:00.000001Z"));
    }
}
