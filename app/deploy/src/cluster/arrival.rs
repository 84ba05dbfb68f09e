//! Whether a release waits for the first telemetry of the pods that it injected: the settings, and the judge's question without what is each workload's own.

use app_adapt::Request;
use app_config::Span;
use operate_deploy::Arrives;
use operate_gate::{Arrival, Signal, Unproven};
use operate_plan::ObjectId;
use serde::Deserialize;

use crate::release::ms;

/// What finding out why nothing comes may take besides.
const WHY_MS: u64 = 60_000;

/// `services.NAME.deploy.kubernetes.arrival`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a map of settings")]
pub struct ArrivalSettings {
    /// How long the first of each signal may take after the pods are ready. OpenTelemetry's SDKs send metrics once a minute.
    pub within: Span,
    /// What becomes of a release whose pods sent no span although nobody called them, or no line.
    pub unproven: Unproven,
    /// Left out: those that the pods were given something for. None: nothing is waited for.
    pub signals: Option<Vec<Signal>>,
}

impl Default for ArrivalSettings {
    fn default() -> ArrivalSettings {
        ArrivalSettings { within: Span::from_secs(180), unproven: Unproven::default(), signals: None }
    }
}

/// The question for the judge; the plan fills in whom it is about.
pub(super) fn arrives(settings: &ArrivalSettings, context: &str) -> Option<Arrives> {
    let within_ms = ms(settings.within.0);
    let arrival = Arrival {
        service: String::new(),
        signals: Vec::new(),
        probed: false,
        within_ms: i64::try_from(within_ms).unwrap_or(i64::MAX),
        unproven: settings.unproven,
    };
    let request = Request::Arrives { context: context.to_owned(), object: ObjectId::new("", ""), arrival };
    let words = |signals: &Vec<Signal>| signals.iter().map(|signal| signal.word().to_owned()).collect();
    Some(Arrives {
        request: serde_json::to_value(request).ok()?,
        object_at: "/arrives/object".to_owned(),
        arrival_at: "/arrives/arrival".to_owned(),
        signals: settings.signals.as_ref().map(words),
        limit_ms: within_ms.saturating_add(WHY_MS),
    })
}
