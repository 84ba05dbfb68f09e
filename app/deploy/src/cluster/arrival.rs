//! Whether a release waits for the first telemetry of the pods that it injected: the settings, and the judge's question without what is each workload's own.

use app_adapt::{Elsewhere, Request};
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

/// The question for the judge; the plan fills in whom it is about. Where the settings ask for it, pods that a webhook injects count too.
pub(super) fn arrives(settings: &ArrivalSettings, context: &str, at: &Elsewhere, asked_for: bool) -> Option<Arrives> {
    let within_ms = ms(settings.within.0);
    let arrival = Arrival {
        service: String::new(),
        signals: Vec::new(),
        probed: false,
        within_ms: i64::try_from(within_ms).unwrap_or(i64::MAX),
        unproven: settings.unproven,
        admitted: false,
    };
    let request =
        Request::Arrives { context: context.to_owned(), object: ObjectId::new("", ""), arrival, at: at.clone() };
    let words = |signals: &Vec<Signal>| signals.iter().map(|signal| signal.word().to_owned()).collect();
    Some(Arrives {
        request: serde_json::to_value(request).ok()?,
        object_at: "/arrives/object".to_owned(),
        arrival_at: "/arrives/arrival".to_owned(),
        signals: settings.signals.as_ref().map(words),
        admitted: asked_for,
        limit_ms: within_ms.saturating_add(WHY_MS),
    })
}

#[cfg(test)]
mod tests {
    use app_config::Tree;

    use super::*;
    use crate::Project;

    fn read(arrival: &str) -> Result<Option<ArrivalSettings>, String> {
        let mut tree = Tree::default();
        let text = format!("services: {{ web: {{ deploy: {{ kubernetes: {{ {arrival} }} }} }} }}\n");
        tree.add_file_asking("apm.yaml", &text, &|_, _| None).map_err(|error| error.to_string())?;
        let project = Project::read(tree, None, "shop").map_err(|error| error.to_string())?;
        Ok(project.services["web"].deploy.kubernetes.arrival.clone())
    }

    #[test]
    fn what_is_waited_for_can_be_said() {
        let check = |arrival: &str, expect: Option<ArrivalSettings>| assert_eq!(read(arrival), Ok(expect), "{arrival}");
        check("", None);
        check("arrival: {}", Some(ArrivalSettings::default()));
        let strict = ArrivalSettings {
            within: Span::from_secs(90),
            unproven: Unproven::Halt,
            signals: Some(vec![Signal::Metrics, Signal::Logs]),
        };
        check("arrival: { within: 90s, unproven: halt, signals: [metrics, logs] }", Some(strict));
        let refused = read("arrival: { signals: [metric] }").expect_err("no signal");
        assert!(refused.contains("metric") && refused.contains("apm.yaml:1"), "{refused}");
    }

    #[test]
    fn the_places_that_the_plan_fills_in_are_there() {
        let settings = ArrivalSettings { signals: Some(vec![Signal::Traces]), ..ArrivalSettings::default() };
        let mut arrives = arrives(&settings, "prod", &Elsewhere::default(), false).expect("a question");
        assert_eq!((arrives.limit_ms, arrives.signals), (240_000, Some(vec!["traces".to_owned()])));
        *arrives.request.pointer_mut(&arrives.object_at).expect("its place") = "Deployment.apps/shop/cart".into();
        let arrival = arrives.request.pointer_mut(&arrives.arrival_at).expect("its place");
        (arrival["service"], arrival["signals"]) = ("cart".into(), serde_json::json!(["traces", "logs"]));
        let Ok(Request::Arrives { context, object, arrival, .. }) = serde_json::from_value(arrives.request) else {
            panic!("the judge does not understand the question");
        };
        assert_eq!((context.as_str(), object.to_string().as_str()), ("prod", "Deployment.apps/shop/cart"));
        assert_eq!((arrival.service.as_str(), arrival.signals.len()), ("cart", 2));
    }
}
