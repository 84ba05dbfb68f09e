//! Who is speaking: the resource attributes sent with every signal.
//!
//! Order of trust: what the code says, overridden by `OTEL_RESOURCE_ATTRIBUTES`, overridden by `OTEL_SERVICE_NAME`:
//! the person who operates a service can rename it without building it anew.

use opentelemetry::KeyValue;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::resource::TelemetryResourceDetector;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator};

use crate::environment::Environment;

pub(crate) fn resource(name: &str, version: Option<&str>, own: &[KeyValue], env: &Environment) -> Resource {
    let mut attributes = vec![
        KeyValue::new("service.name", name.to_owned()),
        KeyValue::new("process.pid", i64::from(std::process::id())),
    ];
    if let Some(version) = version {
        attributes.push(KeyValue::new("service.version", version.to_owned()));
    }
    attributes.extend(own.iter().cloned());
    attributes.extend(env.resource_attributes.iter().map(|(key, value)| KeyValue::new(key.clone(), value.clone())));
    if let Some(name) = &env.service_name {
        attributes.push(KeyValue::new("service.name", name.clone()));
    }
    if !attributes.iter().any(|kv| kv.key.as_str() == "service.instance.id") {
        attributes.push(KeyValue::new("service.instance.id", random_uuid()));
    }
    // A later attribute of the same key replaces an earlier one.
    Resource::builder_empty().with_detector(Box::new(TelemetryResourceDetector)).with_attributes(attributes).build()
}

/// A random UUID (RFC 9562, version 4), as the semantic conventions ask of `service.instance.id`.
fn random_uuid() -> String {
    let mut bytes = RandomIdGenerator::default().new_trace_id().to_bytes();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-{}-{}-{}", &hex[0..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32])
}
