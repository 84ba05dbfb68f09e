//! One list of receivers of a route, and what it is when the canary gets so many percent. Arithmetic only.

use operate_manifest::receivers::{is_gateway_api, receivers, weight};
use operate_plan::ObjectId;
use serde_json::Value;

use super::super::{Item, object};
use super::CANARY;

/// The greatest weight that the Gateway API takes.
const WEIGHT_MAX: u64 = 1_000_000;

/// A list that sends something to the release.
pub(in super::super) struct Split {
    kind: String,
    /// A JSON pointer (RFC 6901) into the route.
    pub(super) at: String,
    /// As it is without a canary, and will be in the end.
    pub(super) home: Vec<Value>,
    /// Which of them are the release's, each with the Service it is.
    stable: Vec<(usize, ObjectId)>,
}

/// The lists of a route that send anything to one of these Services.
pub(super) fn splits(route: &ObjectId, body: &Value, services: &[&Item]) -> Vec<Split> {
    let space = route.name.split('/').next().unwrap_or_default();
    let services: Vec<ObjectId> = services.iter().map(|item| object(&item.body)).collect();
    let split = |(at, list): (String, &Vec<Value>)| {
        let alone = list.len() == 1;
        let sent = |(at, receiver): (usize, &Value)| {
            let name = service(&route.kind, receiver, space)?;
            let service = services.iter().find(|service| service.name == name)?;
            (weight(&route.kind, receiver, alone) > 0).then(|| (at, service.clone()))
        };
        let stable: Vec<_> = list.iter().enumerate().filter_map(sent).collect();
        (!stable.is_empty()).then(|| Split { kind: route.kind.clone(), at, home: list.clone(), stable })
    };
    receivers(&route.kind, body).into_iter().filter_map(split).collect()
}

/// `shop/cart`: the Service that a receiver is.
fn service(kind: &str, receiver: &Value, space: &str) -> Option<String> {
    if !is_gateway_api(kind) {
        return service_of(receiver["destination"]["host"].as_str()?, space);
    }
    let is = |name: &str, usual: &str| receiver[name].as_str().unwrap_or(usual) == usual;
    if !is("group", "") || !is("kind", "Service") {
        return None;
    }
    Some(format!("{}/{}", receiver["namespace"].as_str().unwrap_or(space), receiver["name"].as_str()?))
}

/// `shop/cart` of `cart`, `cart.shop`, `cart.shop.svc` and `cart.shop.svc.cluster.local`; Istio reads short names in the route's own namespace.
pub(super) fn service_of(host: &str, space: &str) -> Option<String> {
    let parts: Vec<&str> = host.split('.').collect();
    match parts[..] {
        [name] => Some(format!("{space}/{name}")),
        [name, space] | [name, space, "svc", ..] => Some(format!("{space}/{name}")),
        _ => None,
    }
}

impl Split {
    pub(super) fn sends_to(&self, service: &ObjectId) -> bool {
        self.stable.iter().any(|(_, one)| one == service)
    }

    /// The receivers that are the release's.
    pub(super) fn stable(&self) -> impl Iterator<Item = &Value> {
        self.stable.iter().filter_map(|(at, _)| self.home.get(*at))
    }

    /// Whether a canary is among them already.
    pub(super) fn has_canary(&self) -> bool {
        self.stable().any(|one| {
            let canary = canary_of(&self.kind, one);
            self.home.iter().any(|other| who(other) == who(&canary))
        })
    }

    /// The list when the canary gets so many percent of what the release gets; others get what they got.
    pub(super) fn at_percent(&self, percent: u32) -> Vec<Value> {
        let alone = self.home.len() == 1;
        let percent = u64::from(percent.min(100));
        let mut weighed: Vec<(Value, u64)> = Vec::new();
        for (at, receiver) in self.home.iter().enumerate() {
            let share = if alone { 1 } else { weight(&self.kind, receiver, alone) };
            if !self.stable.iter().any(|(one, _)| *one == at) {
                weighed.push((receiver.clone(), share * 100));
                continue;
            }
            weighed.push((receiver.clone(), share * (100 - percent)));
            weighed.push((canary_of(&self.kind, receiver), share * percent));
        }
        if !alone {
            let divisor = weighed.iter().fold(0, |all, (_, weight)| gcd(all, *weight)).max(1);
            let most = weighed.iter().map(|(_, weight)| weight / divisor).max().unwrap_or(0);
            let too_much = most.div_ceil(WEIGHT_MAX).max(1);
            for (_, weight) in &mut weighed {
                let less = *weight / divisor / too_much;
                *weight = if *weight > 0 { less.max(1) } else { 0 };
            }
        }
        let list = weighed.into_iter().map(|(mut receiver, weight)| {
            receiver["weight"] = Value::from(weight);
            receiver
        });
        list.collect()
    }
}

fn gcd(one: u64, other: u64) -> u64 {
    if other == 0 { one } else { gcd(other, one % other) }
}

fn who(receiver: &Value) -> [&Value; 3] {
    [&receiver["name"], &receiver["port"], &receiver["destination"]]
}

/// The receiver that is the canary of this one: another Service, or another subset of the same host.
fn canary_of(kind: &str, stable: &Value) -> Value {
    let mut canary = stable.clone();
    let beside = |name: &Value| Value::from(format!("{}-{CANARY}", name.as_str().unwrap_or_default()));
    if is_gateway_api(kind) {
        canary["name"] = beside(&stable["name"]);
    } else if stable["destination"]["subset"].is_string() {
        canary["destination"]["subset"] = beside(&stable["destination"]["subset"]);
    } else {
        let host = stable["destination"]["host"].as_str().unwrap_or_default();
        let (name, rest) = host.split_at(host.find('.').unwrap_or(host.len()));
        canary["destination"]["host"] = Value::from(format!("{name}-{CANARY}{rest}"));
    }
    canary
}

#[cfg(test)]
mod tests {
    use operate_manifest::receivers::{GRPC_ROUTE, HTTP_ROUTE, VIRTUAL_SERVICE, told};
    use serde_json::json;

    use super::*;

    /// What the lists of a route of this kind are at so many percent for `shop/cart`; nothing where none sends to it.
    fn check(kind: &str, list: Value, percent: u32, expect: Option<&str>) {
        let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "cart", "namespace": "shop"}});
        let service = Item { body: service, secrets: Default::default(), source: String::new() };
        let spec = if is_gateway_api(kind) {
            json!({"rules": [{"backendRefs": list}]})
        } else {
            json!({"http": [{"route": list}]})
        };
        let body = json!({ "spec": spec });
        let splits = splits(&ObjectId::new(kind, "shop/web"), &body, &[&service]);
        let found = splits.first().map(|split| told(kind, &split.at_percent(percent)));
        assert_eq!(found.as_deref(), expect, "{list}");
    }

    #[test]
    fn the_canary_gets_its_share_of_what_the_release_got() {
        check(HTTP_ROUTE, json!([{"name": "cart"}]), 5, Some("cart 95, cart-canary 5"));
        check(GRPC_ROUTE, json!([{"name": "cart"}]), 5, Some("cart 95, cart-canary 5"));
        check(HTTP_ROUTE, json!([{"name": "cart", "weight": 10}]), 100, Some("cart 0, cart-canary 100"));
        // Others keep theirs.
        check(
            HTTP_ROUTE,
            json!([{"name": "cart", "weight": 3}, {"name": "old", "weight": 1}]),
            20,
            Some("cart 12, cart-canary 3, old 5"),
        );
        let most = json!([{"name": "cart", "weight": 1_000_000}, {"name": "old", "weight": 999_999}]);
        check(HTTP_ROUTE, most, 1, Some("cart 990000, cart-canary 10000, old 999999"));
        check(HTTP_ROUTE, json!([{"name": "cart", "weight": 0}, {"name": "old"}]), 20, None);
        check(HTTP_ROUTE, json!([{"name": "cart", "namespace": "other"}]), 20, None);
        check(HTTP_ROUTE, json!([{"name": "cart", "kind": "Bucket", "group": "example.org"}]), 20, None);
    }

    #[test]
    fn a_host_is_read_as_istio_reads_it() {
        let to = |host: &str| json!([{"destination": {"host": host}}]);
        check(VIRTUAL_SERVICE, to("cart"), 50, Some("cart 50, cart-canary 50"));
        let whole = "cart.shop.svc.cluster.local 50, cart-canary.shop.svc.cluster.local 50";
        check(VIRTUAL_SERVICE, to("cart.shop.svc.cluster.local"), 50, Some(whole));
        check(VIRTUAL_SERVICE, to("cart.other"), 50, None);
        check(VIRTUAL_SERVICE, to("cart.example.org"), 50, None);
        let subset = json!([{"destination": {"host": "cart", "subset": "stable"}}]);
        check(VIRTUAL_SERVICE, subset, 50, Some("cart stable 50, cart stable-canary 50"));
        // Beside others, one that says nothing gets nothing.
        let both = json!([{"destination": {"host": "cart"}, "weight": 100}, {"destination": {"host": "old"}}]);
        check(VIRTUAL_SERVICE, both, 50, Some("cart 1, cart-canary 1, old 0"));
    }
}
