//! Holds answers to the OpenAPI document that is served: the path, the method and the status must be in it, and the body must have its form.

use serde_json::Value;

use super::{Body, Server};

/// What is wrong with a value, by the words of JSON Schema that the document uses.
pub(super) fn faults(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    if let Some(path) = schema["$ref"].as_str() {
        return faults(root, follow(root, path), value, at);
    }
    if let Some(ways) = schema["anyOf"].as_array() {
        let fits = ways.iter().any(|way| faults(root, way, value, at).is_empty());
        return if fits { Vec::new() } else { vec![format!("{at}: {value} has none of the forms")] };
    }
    let mut found = Vec::new();
    let is = |kind: &Value| match kind.as_str().expect("a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "number" => value.is_number(),
        "integer" => value.is_i64() || value.is_u64(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: the type `{other}` is not known to this test"),
    };
    let fits = match &schema["type"] {
        // Anything at all, if it is said what it is.
        Value::Null if schema["description"].is_string() => true,
        Value::Null => panic!("{at}: a form without a type"),
        Value::Array(kinds) => kinds.iter().any(is),
        kind => is(kind),
    };
    if !fits {
        found.push(format!("{at}: {value} is no {}", schema["type"]));
    }
    if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
        found.push(format!("{at}: {value} is none of {}", schema["enum"]));
    }
    if schema["minimum"].as_i64().zip(value.as_i64()).is_some_and(|(least, value)| value < least) {
        found.push(format!("{at}: {value} is too small"));
    }
    if schema["maximum"].as_i64().zip(value.as_i64()).is_some_and(|(most, value)| value > most) {
        found.push(format!("{at}: {value} is too large"));
    }
    for item in value.as_array().into_iter().flatten() {
        if !schema["items"].is_null() {
            found.extend(faults(root, &schema["items"], item, &format!("{at}[]")));
        }
    }
    let Some(members) = value.as_object() else { return found };
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !members.contains_key(name) {
            found.push(format!("{at}: `{name}` is missing"));
        }
    }
    for (name, member) in members {
        let at = format!("{at}.{name}");
        match (&schema["properties"][name], &schema["additionalProperties"]) {
            (Value::Null, Value::Bool(false)) => found.push(format!("{at} is not documented")),
            (Value::Null, others @ Value::Object(_)) => found.extend(faults(root, others, member, &at)),
            (Value::Null, _) => {}
            (own, _) => found.extend(faults(root, own, member, &at)),
        }
    }
    found
}

pub(super) fn follow<'a>(root: &'a Value, path: &str) -> &'a Value {
    let place = path.strip_prefix('#').expect("a place in this document");
    root.pointer(place).unwrap_or_else(|| panic!("{path} is not in the document"))
}

/// The document's operation for a path as it is asked.
fn operation<'a>(root: &'a Value, method: &str, path: &str) -> &'a Value {
    let parts: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
    let fits = |template: &str| {
        let wanted: Vec<&str> = template.split('/').collect();
        wanted.len() == parts.len()
            && wanted.iter().zip(&parts).all(|(want, part)| want.starts_with('{') || want == part)
    };
    let paths = root["paths"].as_object().expect("paths");
    // A path that is written out wins over one with a name in it, as it does in the router.
    let found = paths.iter().filter(|(template, _)| fits(template)).min_by_key(|(template, _)| template.contains('{'));
    let operation = &found.unwrap_or_else(|| panic!("{path} is not documented")).1[method.to_ascii_lowercase()];
    assert!(operation.is_object(), "{method} {path} is not documented");
    operation
}

impl Server {
    /// A request whose answer is held to the document; status and body.
    pub(super) async fn documented(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (u16, Value) {
        let root: Value = serde_json::from_str(crate::deployments::OPENAPI).expect("JSON");
        let mut headers = headers.to_vec();
        if !body.is_empty() && headers.iter().all(|(name, _)| *name != "content-type") {
            headers.push(("content-type", "application/json"));
        }
        let reply = self.ask(method, path, &headers, Body::from(body.to_owned())).await;
        let mut answer = &operation(&root, method, path)["responses"][reply.status.to_string()];
        assert!(
            answer.is_object(),
            "{method} {path} answers {}, which is not documented: {}",
            reply.status,
            reply.text()
        );
        if let Some(place) = answer["$ref"].as_str() {
            answer = follow(&root, place);
        }
        for name in answer["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            assert!(!reply.header(&name.to_ascii_lowercase()).is_empty(), "{method} {path} has no {name}");
        }
        let schema = &answer["content"]["application/json"]["schema"];
        if schema.is_null() {
            return (reply.status, Value::String(reply.text()));
        }
        assert!(reply.header("content-type").starts_with("application/json"), "{method} {path}");
        let body: Value = serde_json::from_slice(&reply.bytes).unwrap_or_else(|_| panic!("{}", reply.text()));
        let found = faults(&root, schema, &body, "$");
        assert!(found.is_empty(), "{method} {path}: {found:#?}\n{body:#}");
        (reply.status, body)
    }
}

#[test]
fn the_checker_finds_what_is_wrong() {
    let root = serde_json::json!({"x": {"type": "integer"}});
    let schema = serde_json::json!({
        "type": "object", "required": ["a"], "additionalProperties": false,
        "properties": {"a": {"$ref": "#/x"}, "b": {"type": ["string", "null"], "enum": ["c", null]}, "d": {"type": "array", "items": {"$ref": "#/x"}}},
    });
    let check = |value: Value, expect: &[&str]| {
        assert_eq!(faults(&root, &schema, &value, "$"), expect, "{value}");
    };
    check(serde_json::json!({"a": 1, "b": null, "d": [1, 2]}), &[]);
    check(serde_json::json!({}), &["$: `a` is missing"]);
    check(serde_json::json!({"a": "1"}), &["$.a: \"1\" is no \"integer\""]);
    check(serde_json::json!({"a": 1, "b": "e"}), &["$.b: \"e\" is none of [\"c\",null]"]);
    check(serde_json::json!({"a": 1, "z": 1}), &["$.z is not documented"]);
    check(serde_json::json!({"a": 1, "d": [1.5]}), &["$.d[]: 1.5 is no \"integer\""]);
    check(serde_json::json!([]), &["$: [] is no \"object\""]);
}
