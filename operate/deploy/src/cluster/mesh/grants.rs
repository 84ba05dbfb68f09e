//! Whether a route may send to the canary's Service in another namespace: in the Gateway API that namespace says so, by a ReferenceGrant (GEP-709,
//! `spec.from` and `spec.to`). One that names the Service of today lets nobody send to the canary's, and the requests of its share would be errors. It
//! knows no route of Istio: whoever may write a VirtualService may send anywhere.

use operate_manifest::receivers::is_gateway_api;
use operate_plan::{Inventory, ObjectId};
use serde_json::Value;

use super::super::{ClusterRelease, object};
use super::{Route, all, known};
use crate::Refusal;

const REFERENCE_GRANT: &str = "ReferenceGrant.gateway.networking.k8s.io";
const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// The canary's Services that the route reaches from another namespace.
fn reached(route: &Route<'_>) -> Vec<ObjectId> {
    if !is_gateway_api(&route.id.kind) {
        return Vec::new();
    }
    let own = space(&route.id);
    route.services_beside().into_iter().filter(|service| space(service) != own).collect()
}

/// What must be looked at to know.
pub(super) fn objects(route: &Route<'_>) -> Vec<ObjectId> {
    let mut spaces: Vec<_> = reached(route).iter().map(|service| all(REFERENCE_GRANT, space(service))).collect();
    spaces.sort_unstable();
    spaces.dedup();
    spaces
}

/// That each of them may be sent to, by what is there or by what this release brings with it.
pub(super) fn check(route: &Route<'_>, release: &ClusterRelease, seen: &Inventory) -> Result<(), Refusal> {
    for service in reached(route) {
        let own: Vec<(ObjectId, &Value)> =
            release.items.iter().map(|item| (object(&item.body), &item.body)).filter(|(id, _)| is_grant(id)).collect();
        let lets = |body: &Value| lets(body, &route.id, &service);
        if own.iter().any(|(id, body)| space(id) == space(&service) && lets(body)) {
            continue;
        }
        let there = known(seen, &all(REFERENCE_GRANT, space(&service)))?;
        let there = there.and_then(|fact| fact["objects"].as_array()).into_iter().flatten();
        // One that this release changes is as it will be.
        let stays = |body: &&Value| {
            let name = body["metadata"]["name"].as_str().unwrap_or_default();
            !own.iter().any(|(id, _)| id.name == format!("{}/{name}", space(&service)))
        };
        if !there.filter(stays).any(lets) {
            return Err(Refusal::NoGrant { route: route.title(), service: service.name });
        }
    }
    Ok(())
}

fn is_grant(id: &ObjectId) -> bool {
    id.kind == REFERENCE_GRANT
}

fn space(id: &ObjectId) -> &str {
    id.name.split('/').next().unwrap_or_default()
}

/// Whether a grant of the Service's namespace lets this route send to it.
fn lets(grant: &Value, route: &ObjectId, service: &ObjectId) -> bool {
    let rows = |name: &str| grant["spec"][name].as_array().cloned().unwrap_or_default();
    let kind = route.kind.split('.').next().unwrap_or_default();
    let name = service.name.split('/').next_back().unwrap_or_default();
    let from = |one: &Value| one["group"] == GATEWAY_API && one["kind"] == kind && one["namespace"] == space(route);
    let to = |one: &Value| {
        one["group"].as_str().unwrap_or_default().is_empty()
            && one["kind"] == "Service"
            && one["name"].as_str().is_none_or(|named| named.is_empty() || named == name)
    };
    rows("from").iter().any(from) && rows("to").iter().any(to)
}
