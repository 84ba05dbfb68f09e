//! The route by which a canary gets its share of the requests: an HTTPRoute or a GRPCRoute of the Gateway API, or a VirtualService of Istio, that sends to a
//! Service of the release. Which one it is, is found among the manifests and in the namespace; the settings may name it, in another namespace too. It
//! knows no order of steps.
//!
//! Two forms. Where the route names a Service only, a second Service is made that selects the canary's pods, and the first is narrowed to the pods that it
//! has. Where a VirtualService names a subset of its host, the DestinationRule gets a second subset in the same way, and the Service stays as it is.

mod found;
mod grants;
mod split;
mod steps;

use operate_manifest::receivers::{DESTINATION_RULE, GRPC_ROUTE, HTTP_ROUTE, VIRTUAL_SERVICE, told};
use operate_plan::{Inventory, ObjectId, Seen};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::color::with_color;
use super::order::Accesses;
use super::{ClusterRelease, Item, canary, deployments, is_there, look, mark, object, services_of};
use crate::{Refusal, Strategy};
pub(super) use split::Split;

pub(super) const CANARY: &str = "canary";
/// The label that each ReplicaSet gives its pods: it tells those that are there from those that come.
pub(super) const HASH: &str = "pod-template-hash";
const GATEWAY: &str = "Gateway.gateway.networking.k8s.io";

/// Which route weighs a canary; left out, the one that is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct RouteChoice {
    pub kind: Option<RouteKind>,
    pub name: Option<String>,
    /// Where the route is, when it is not where the Deployments are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Although no controller has ever said that it carries the route out. Without one, weights move no request, and the judge would look at a version that
    /// nobody is sent to; so this has to be said.
    pub unverified: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RouteKind {
    #[serde(rename = "HTTPRoute")]
    HttpRoute,
    #[serde(rename = "GRPCRoute")]
    GrpcRoute,
    VirtualService,
    /// By the number of pods, whatever routes there are.
    #[serde(rename = "none")]
    Pods,
}

impl RouteKind {
    fn of_plan(self) -> Option<&'static str> {
        match self {
            RouteKind::HttpRoute => Some(HTTP_ROUTE),
            RouteKind::GrpcRoute => Some(GRPC_ROUTE),
            RouteKind::VirtualService => Some(VIRTUAL_SERVICE),
            RouteKind::Pods => None,
        }
    }
}

/// The route of a release, and what stands behind it.
pub(super) struct Route<'a> {
    /// `HTTPRoute.gateway.networking.k8s.io/shop/cart`.
    pub(super) id: ObjectId,
    /// As it was seen; `None` where this release makes or changes it first.
    seen: Option<&'a Value>,
    splits: Vec<Split>,
    /// The Deployments whose pods it reaches, each with the Services that it sends to and all others that select its pods.
    pub(super) behind: Vec<Behind<'a>>,
    form: Form,
}

pub(super) struct Behind<'a> {
    pub(super) deployment: &'a Item,
    /// All that select its pods: they are narrowed, so that nobody reaches the canary but by the route.
    services: Vec<&'a Item>,
    /// Those of them that the route sends to: they get a Service beside them.
    sent_to: Vec<&'a Item>,
}

enum Form {
    Services,
    Subsets(Rule),
}

/// A DestinationRule whose subsets are weighed.
struct Rule {
    id: ObjectId,
    /// `None` where this release makes or changes it first.
    owners: Option<Value>,
    home: Vec<Value>,
    /// Those of them that the route names.
    names: Vec<String>,
}

/// `weights/HTTPRoute.gateway.networking.k8s.io/shop/cart`: who gets how much, apart from whatever else the route says.
pub(super) fn weights(route: &ObjectId) -> ObjectId {
    ObjectId::new("weights", route.to_string())
}

pub(super) fn is_gateway(object: &ObjectId) -> bool {
    object.kind == GATEWAY
}

fn all(kind: &str, namespace: &str) -> ObjectId {
    ObjectId::new("all", format!("{kind}/{namespace}"))
}

fn namespace(body: &Value) -> &str {
    body["metadata"]["namespace"].as_str().unwrap_or_default()
}

fn kinds(choice: &RouteChoice) -> Vec<&'static str> {
    match choice.kind {
        Some(kind) => kind.of_plan().into_iter().collect(),
        None => vec![HTTP_ROUTE, GRPC_ROUTE, VIRTUAL_SERVICE],
    }
}

/// Where the Deployments are.
fn homes(release: &ClusterRelease) -> Vec<&str> {
    let mut homes: Vec<_> = deployments(release).map(|item| namespace(&item.body)).collect();
    homes.sort_unstable();
    homes.dedup();
    homes
}

/// What must be looked at first: all routes of the namespaces, or the one that is named.
pub(super) fn objects(release: &ClusterRelease) -> Vec<ObjectId> {
    if release.strategy != Strategy::Canary || !canary::has_steps(release) || release.helm.is_some() {
        return Vec::new();
    }
    let homes = homes(release);
    let routes = release.route.namespace.as_ref().map_or_else(|| homes.clone(), |namespace| vec![namespace.as_str()]);
    let kinds = kinds(&release.route);
    let mut objects = Vec::new();
    for namespace in &routes {
        for kind in &kinds {
            objects.push(match (&release.route.name, release.route.kind) {
                (Some(name), Some(_)) => weights(&ObjectId::new(*kind, format!("{namespace}/{name}"))),
                _ => all(kind, namespace),
            });
        }
        if kinds.contains(&VIRTUAL_SERVICE) {
            objects.push(all(DESTINATION_RULE, namespace));
        }
    }
    if kinds.contains(&VIRTUAL_SERVICE) {
        // Istio reads the rule beside the route first, then the one beside the Service.
        objects.extend(homes.iter().filter(|home| !routes.contains(home)).map(|home| all(DESTINATION_RULE, home)));
    }
    objects
}

/// What must be looked at besides, once it is known which route it is.
pub(super) fn objects_left(release: &ClusterRelease, seen: &Inventory) -> Vec<ObjectId> {
    let Ok(Some(route)) = Route::of(release, seen) else { return Vec::new() };
    let mut objects = vec![weights(&route.id)];
    let mut needed = Accesses::default();
    let mut weighed = |id: &ObjectId| {
        let (namespace, name) = id.name.split_once('/').unwrap_or(("", &id.name));
        for verb in ["get", "patch", "update"] {
            needed.add(verb, &id.kind, namespace, name);
        }
    };
    weighed(&route.id);
    match &route.form {
        Form::Subsets(rule) => {
            objects.push(weights(&rule.id));
            weighed(&rule.id);
        }
        Form::Services => {
            for id in route.services_beside() {
                needed.changed(&id);
                objects.push(id);
            }
        }
    }
    objects.extend(needed.all());
    objects.extend(grants::objects(&route));
    objects.extend(route.gateways());
    objects
}

/// Routes of which nobody could say whether they are there: the failure's own words.
pub(super) fn unknown<'a>(release: &ClusterRelease, seen: &'a Inventory) -> Vec<(ObjectId, &'a operate_plan::Failure)> {
    let lists: Vec<_> = objects(release).into_iter().filter(|id| id.kind == "all").collect();
    seen.unknown().filter(|(id, _)| lists.contains(id)).map(|(id, failure)| (id.clone(), failure)).collect()
}

impl<'a> Route<'a> {
    /// The one that weighs this release; `None` where there is none, where nothing is replaced, or where pods are to decide.
    pub(super) fn of(release: &'a ClusterRelease, seen: &'a Inventory) -> Result<Option<Route<'a>>, Refusal> {
        let looked_at = objects(release);
        if looked_at.is_empty() {
            return Ok(None);
        }
        let old = deployments(release).filter(|item| is_there(seen, &object(&item.body)));
        let behind: Vec<_> = old.map(|item| (item, services_of(release, &item.body))).collect();
        let services: Vec<&Item> = behind.iter().flat_map(|(_, services)| services.iter().copied()).collect();
        let mut fitting = Vec::new();
        for candidate in found::candidates(release, seen) {
            let splits = split::splits(&candidate.id, candidate.body, &services);
            if !splits.is_empty() {
                fitting.push((candidate, splits));
            }
        }
        let titles = |all: &[(found::Candidate<'_>, Vec<Split>)]| all.iter().map(|(one, _)| plain(&one.id)).collect();
        if fitting.len() > 1 {
            return Err(Refusal::Routes { service: release.service.clone(), routes: titles(&fitting) });
        }
        let Some((chosen, splits)) = fitting.pop() else {
            return match &release.route.name {
                Some(name) => {
                    let place = release.route.namespace.as_ref().map(|place| format!("{place}/")).unwrap_or_default();
                    Err(Refusal::NoRoute { service: release.service.clone(), name: format!("{place}{name}") })
                }
                None => Ok(None),
            };
        };
        let sent_to = |service: &Item| splits.iter().any(|split| split.sends_to(&object(&service.body)));
        let reached = behind.into_iter().map(|(deployment, services)| {
            let sent_to = services.iter().copied().filter(|service| sent_to(service)).collect();
            Behind { deployment, services, sent_to }
        });
        let behind: Vec<Behind<'a>> = reached.filter(|one| !one.sent_to.is_empty()).collect();
        let form = found::form(release, seen, &chosen, &splits, &behind)?;
        let route = Route { id: chosen.id, seen: chosen.seen, splits, behind, form };
        route.alone()?;
        Ok(Some(route))
    }

    /// Pods that are narrowed by one label must be those of one Deployment.
    fn alone(&self) -> Result<(), Refusal> {
        for (at, one) in self.behind.iter().enumerate() {
            let ids = |behind: &Behind<'_>| behind.services.iter().map(|item| object(&item.body)).collect::<Vec<_>>();
            let mut later = self.behind.iter().skip(at + 1).flat_map(ids);
            if let Some(shared) = later.find(|id| ids(one).contains(id)) {
                return Err(Refusal::SharedSender { name: shared.name });
            }
        }
        Ok(())
    }

    /// What is in the way of weighing by it.
    pub(super) fn check(&self, release: &ClusterRelease, seen: &Inventory) -> Result<(), Refusal> {
        for id in self.services_beside() {
            match seen.present(&id) {
                Some(value) if look::is_ours(release, value) => return Err(Refusal::LeftOverObject { name: id.name }),
                Some(_) => return Err(Refusal::ForeignObject { object: id, managers: "somebody".to_owned() }),
                None => {}
            }
        }
        if self.splits.iter().any(Split::has_canary) {
            return Err(Refusal::LeftOverObject { name: format!("the canary in {}", plain(&self.id)) });
        }
        grants::check(self, release, seen)?;
        let unnamed = |one: &&Behind<'_>| hash(seen, one.deployment).is_none();
        match self.behind.iter().find(unnamed) {
            Some(one) => Err(Refusal::NoHash { deployment: object(&one.deployment.body).name }),
            None => Ok(()),
        }
    }

    pub(super) fn reaches(&self, deployment: &ObjectId) -> bool {
        self.behind.iter().any(|one| object(&one.deployment.body) == *deployment)
    }

    fn services_beside(&self) -> Vec<ObjectId> {
        match self.form {
            Form::Subsets(_) => Vec::new(),
            Form::Services => {
                let sent_to = self.behind.iter().flat_map(|one| &one.sent_to);
                sent_to.map(|item| with_color(&object(&item.body), CANARY)).collect()
            }
        }
    }

    /// Those that the route says it stands behind.
    pub(super) fn gateways(&self) -> Vec<ObjectId> {
        let parents = self.seen.and_then(|seen| seen["spec"]["parentRefs"].as_array()).into_iter().flatten();
        let parents = parents.filter(|parent| parent["kind"].as_str().is_none_or(|kind| kind == "Gateway"));
        let own = self.id.name.split('/').next().unwrap_or_default();
        let id = |parent: &Value| {
            let namespace = parent["namespace"].as_str().unwrap_or(own);
            Some(ObjectId::new(GATEWAY, format!("{namespace}/{}", parent["name"].as_str()?)))
        };
        parents.filter_map(id).collect()
    }

    /// What its controllers say; nothing where this release makes it.
    pub(super) fn reported(&self) -> &'a [Value] {
        self.seen.and_then(|seen| seen["reported"].as_array()).map_or(&[], Vec::as_slice)
    }

    pub(super) fn is_new(&self) -> bool {
        self.seen.is_none()
    }

    pub(super) fn title(&self) -> String {
        plain(&self.id)
    }
}

/// The label of the pods that a Deployment has now.
fn hash<'a>(seen: &'a Inventory, deployment: &Item) -> Option<&'a str> {
    seen.present(&object(&deployment.body))?["hash"].as_str()
}

/// `HTTPRoute shop/cart`.
fn plain(id: &ObjectId) -> String {
    super::steps::title(id)
}

/// Whether somebody could not be looked at who must be known.
fn known<'a>(seen: &'a Inventory, id: &ObjectId) -> Result<Option<&'a Value>, Refusal> {
    match seen.look(id) {
        Seen::Unknown(failure) => Err(Refusal::Unknown { object: id.clone(), failure }),
        _ => Ok(seen.present(id)),
    }
}

fn shares(kind: &str, list: &Value) -> String {
    told(kind, list.as_array().map_or(&[][..], Vec::as_slice))
}

/// The labels of the canary's pods are those of the others, and this one.
fn canary_label() -> (String, Value) {
    (mark::COLOR.to_owned(), Value::from(CANARY))
}
