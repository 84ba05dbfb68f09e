//! Where a route says to whom it sends, and how much: the lists of receivers of an HTTPRoute or a GRPCRoute (Gateway API, `spec.rules[].backendRefs`) and of a
//! VirtualService (Istio, `spec.{http,tls,tcp}[].route`), and the subsets that a DestinationRule makes of a host (`spec.subsets`). It does not know
//! who sends what, and sets no weight.

use serde_json::Value;

pub const HTTP_ROUTE: &str = "HTTPRoute.gateway.networking.k8s.io";
pub const GRPC_ROUTE: &str = "GRPCRoute.gateway.networking.k8s.io";
pub const VIRTUAL_SERVICE: &str = "VirtualService.networking.istio.io";
pub const DESTINATION_RULE: &str = "DestinationRule.networking.istio.io";

/// Whether it is a route of the Gateway API, which sends to objects that it names.
pub fn is_gateway_api(kind: &str) -> bool {
    matches!(kind, HTTP_ROUTE | GRPC_ROUTE)
}

/// The lists by JSON pointer (RFC 6901), in their order; none of a kind that sends nothing. `kind` is as in [`HTTP_ROUTE`].
pub fn receivers<'a>(kind: &str, object: &'a Value) -> Vec<(String, &'a Vec<Value>)> {
    let (rows, list): (&'static [&'static str], &'static str) = match kind {
        HTTP_ROUTE | GRPC_ROUTE => (&["rules"], "backendRefs"),
        VIRTUAL_SERVICE => (&["http", "tls", "tcp"], "route"),
        DESTINATION_RULE => {
            let subsets = object["spec"]["subsets"].as_array();
            return subsets.map(|subsets| ("/spec/subsets".to_owned(), subsets)).into_iter().collect();
        }
        _ => return Vec::new(),
    };
    let of_row = |row: &'static str| {
        let rules = object["spec"][row].as_array().into_iter().flatten().enumerate();
        rules.filter_map(move |(at, rule)| Some((format!("/spec/{row}/{at}/{list}"), rule[list].as_array()?)))
    };
    rows.iter().flat_map(|row| of_row(row)).collect()
}

/// What one receiver of a list gets, as its server reads it: one that says nothing gets 1 in a route of the Gateway API; in a VirtualService everything where
/// it is alone, and nothing beside others.
pub fn weight(kind: &str, receiver: &Value, alone: bool) -> u64 {
    let usual = match kind {
        HTTP_ROUTE | GRPC_ROUTE => 1,
        _ if alone => 100,
        _ => 0,
    };
    receiver["weight"].as_u64().unwrap_or(usual)
}

/// Whether two lists say the same: what a server fills in where nothing is said counts as said.
pub fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let usual = |key: &str| match key {
                "group" => Some(Value::from("")),
                "kind" => Some(Value::from("Service")),
                "weight" => Some(Value::from(1)),
                _ => None,
            };
            let names = one.keys().chain(other.keys());
            names.into_iter().all(|name| match (one.get(name), other.get(name)) {
                (Some(one), Some(other)) => alike(one, other),
                (Some(said), None) | (None, Some(said)) => usual(name).is_some_and(|usual| usual == *said),
                (None, None) => true,
            })
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (one, other) => one == other,
    }
}

/// `cart 95, cart-canary 5`: a list in a few words.
pub fn told(kind: &str, list: &[Value]) -> String {
    let name = |one: &Value| {
        let text = |pointer: &str| one.pointer(pointer).and_then(Value::as_str);
        let host = text("/destination/host").or_else(|| text("/name")).unwrap_or("somebody");
        match text("/destination/subset") {
            Some(subset) => format!("{host} {subset}"),
            None => host.to_owned(),
        }
    };
    let alone = list.len() == 1;
    let one = |receiver: &Value| match kind {
        DESTINATION_RULE => format!("{} {}", name(receiver), receiver["labels"]),
        _ => format!("{} {}", name(receiver), weight(kind, receiver, alone)),
    };
    if list.is_empty() { "nobody".to_owned() } else { list.iter().map(one).collect::<Vec<_>>().join(", ") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(kind: &str, spec: Value, expect: &[(&str, &str)]) {
        let object = json!({ "spec": spec });
        let found: Vec<_> = receivers(kind, &object).iter().map(|(at, list)| (at.clone(), told(kind, list))).collect();
        let found: Vec<_> = found.iter().map(|(at, told)| (at.as_str(), told.as_str())).collect();
        assert_eq!(found, expect);
    }

    #[test]
    fn lists_are_found_where_each_kind_has_them() {
        let rules =
            json!([{"backendRefs": [{"name": "a"}, {"name": "b", "weight": 3}]}, {"filters": []}, {"backendRefs": []}]);
        for kind in [HTTP_ROUTE, GRPC_ROUTE] {
            check(
                kind,
                json!({ "rules": rules }),
                &[("/spec/rules/0/backendRefs", "a 1, b 3"), ("/spec/rules/2/backendRefs", "nobody")],
            );
        }
        let to = |host: &str| json!([{"destination": {"host": host, "subset": "v1"}}]);
        check(
            VIRTUAL_SERVICE,
            json!({"http": [{"redirect": {}}, {"route": to("a")}], "tcp": [{"route": to("b")}]}),
            &[("/spec/http/1/route", "a v1 100"), ("/spec/tcp/0/route", "b v1 100")],
        );
        check(
            DESTINATION_RULE,
            json!({"subsets": [{"name": "v1", "labels": {"a": "b"}}]}),
            &[("/spec/subsets", "v1 {\"a\":\"b\"}")],
        );
        check("Service", json!({"rules": rules}), &[]);
    }

    #[test]
    fn what_a_server_fills_in_is_no_difference() {
        let plain = json!([{"name": "a", "port": 80}]);
        let filled = json!([{"group": "", "kind": "Service", "name": "a", "port": 80, "weight": 1}]);
        assert!(alike(&plain, &filled) && alike(&filled, &plain));
        for other in [
            json!([{"name": "a", "port": 80, "weight": 2}]),
            json!([{"name": "a"}]),
            json!([]),
            json!([{"name": "b", "port": 80}]),
        ] {
            assert!(!alike(&plain, &other), "{other}");
        }
    }
}
