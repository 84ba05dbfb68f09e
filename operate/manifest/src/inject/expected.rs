//! What the pods of an injected object are going to send, read from the object itself: from the record of its injection and from its variables. It knows
//! nobody who could be asked whether it came.
//!
//! Which agent sends what: the pages of OpenTelemetry's documentation for each language; those of Ruby and PHP measure nothing by themselves, and Go's watcher
//! makes spans only.

use serde_json::Value;

use super::RECORD;
use super::pod::Pod;
use super::record::Record;
use super::settings::AgentLanguage;

/// What is to be expected of a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// `service.name`; `None` where it comes from elsewhere.
    pub service: Option<String>,
    pub metrics: bool,
    pub traces: bool,
    pub logs: bool,
    /// The kubelet asks a page of an injected container again and again.
    pub probed: bool,
}

/// `None` of an object that is not injected, or whose pods were told to send nothing.
pub fn expected(object: &Value) -> Option<Expected> {
    let pod = Pod::of(object)?;
    let record = Record::read(pod.annotation(RECORD)?).ok()?;
    let added = |prefix: &str| record.init.iter().any(|name| name.starts_with(prefix));
    let language = AgentLanguage::ALL.into_iter().find(|one| added(&format!("apm-agent-{}", one.word())));
    let own = pod.spec("containers").as_array()?;
    let touched: Vec<&Value> = own
        .iter()
        .filter(|one| one["name"].as_str().is_some_and(|name| record.containers.contains_key(name)))
        .collect();
    let first = touched.first()?;
    let sends = |signal: &str| {
        let otlp = |exporters: &str| exporters.split(',').any(|one| one.trim().starts_with("otlp"));
        let name = format!("OTEL_{signal}_EXPORTER");
        // From elsewhere: nobody here knows what it says.
        variable(first, &name).is_none_or(otlp)
    };
    let measures = |language| !matches!(language, AgentLanguage::Go | AgentLanguage::Ruby | AgentLanguage::Php);
    let silent = variable(first, "OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let agent = language.filter(|_| !silent);
    // A Collector for traces only has nothing of its own to send.
    let scrapes = collector(&pod).is_some_and(|config| config.contains("\"prometheus\":"));
    let expected = Expected {
        service: variable(first, "OTEL_SERVICE_NAME").map(str::to_owned),
        metrics: scrapes || (agent.is_some_and(measures) && sends("METRICS")),
        traces: agent.is_some() && sends("TRACES"),
        logs: added("apm-logs") || (agent.is_some_and(measures) && sends("LOGS")),
        probed: touched.iter().any(|one| {
            ["readinessProbe", "livenessProbe", "startupProbe"].iter().any(|probe| !one[probe]["httpGet"].is_null())
        }),
    };
    (expected.metrics || expected.traces || expected.logs).then_some(expected)
}

/// Whether the pods of an object are left alone by whoever injects, or it makes none.
pub fn opted_out(object: &Value) -> bool {
    Pod::of(object).is_none_or(|pod| pod.skipped().is_some())
}

/// The same of a pod as a cluster has it, after all that changed it when it was admitted.
pub fn expected_of_pod(pod: &Value) -> Option<Expected> {
    // Of a list, a pod does not say what it is.
    let mut pod = pod.clone();
    (pod["apiVersion"], pod["kind"]) = ("v1".into(), "Pod".into());
    expected(&pod)
}

fn variable<'v>(container: &'v Value, name: &str) -> Option<&'v str> {
    container["env"].as_array()?.iter().find(|one| one["name"] == name)?["value"].as_str()
}

fn collector<'v>(pod: &Pod<'v>) -> Option<&'v str> {
    let init = pod.spec("initContainers").as_array()?;
    let collector =
        init.iter().find(|one| one["name"].as_str().is_some_and(|name| name.starts_with("apm-collector")))?;
    variable(collector, "APM_COLLECTOR")
}
