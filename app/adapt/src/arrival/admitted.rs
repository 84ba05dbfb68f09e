//! Of pods that may have been injected when they were admitted: which were, and what is expected of them, by the record that whoever injects leaves on
//! each. Pure: it looks at pods as they were read.

use operate_gate::{Arrival, Signal};
use operate_manifest::inject::expected_of_pod;
use operate_target_kube::NewPod;

/// What is waited for, and the pods that it is waited for of; a sentence where no pod was injected.
pub(super) fn injected(arrival: &Arrival, pods: Vec<NewPod>) -> Result<(Arrival, Vec<NewPod>), String> {
    if !arrival.admitted {
        return Ok((arrival.clone(), pods));
    }
    let (mut known, mut sent) = (arrival.clone(), Vec::new());
    let mut left = Vec::new();
    for pod in pods {
        let Some(expected) = expected_of_pod(&pod.body) else { continue };
        if left.is_empty() {
            known.service = expected.service.unwrap_or(known.service);
        }
        known.probed |= expected.probed;
        let all =
            [(Signal::Metrics, expected.metrics), (Signal::Traces, expected.traces), (Signal::Logs, expected.logs)];
        sent.extend(all.into_iter().filter(|(_, sends)| *sends).map(|(signal, _)| signal));
        left.push(pod);
    }
    if left.is_empty() {
        return Err("none of its pods was injected when it was admitted, so nothing is waited for".to_owned());
    }
    if known.signals.is_empty() {
        sent.sort_unstable();
        sent.dedup();
        known.signals = sent;
    }
    Ok((known, left))
}

#[cfg(test)]
mod tests {
    use operate_gate::Unproven;
    use operate_manifest::inject::{InjectSettings, Outcome, apply, inject};
    use serde_json::{Value, json};

    use super::*;

    fn pod(name: &str, is_injected: bool) -> NewPod {
        let container = json!({"name": "app", "image": "python:3.12", "command": ["python", "app.py"],
            "readinessProbe": {"httpGet": {"port": 80}}});
        let mut body = json!({"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "cart"}}, "spec": {"containers": [container]}});
        if is_injected {
            let Ok(Outcome::Ops(ops)) = inject(&body, &InjectSettings::default()) else { panic!("it is not injected") };
            assert!(!ops.is_empty());
            ops.iter().for_each(|op| apply(&mut body, op).expect("the pod has the place"));
        }
        // As a list has it.
        body.as_object_mut().expect("an object").retain(|key, _| key != "apiVersion" && key != "kind");
        let text = |text: &str| text.to_owned();
        NewPod { namespace: text("shop"), name: text(name), uid: text(name), begun: text(""), host_ip: text(""), body }
    }

    fn arrival(admitted: bool, signals: &[Signal]) -> Arrival {
        let (service, unproven) = ("release".to_owned(), Unproven::Warn);
        Arrival { service, signals: signals.to_vec(), probed: false, within_ms: 1, unproven, admitted }
    }

    fn check(arrival: &Arrival, pods: &[(&str, bool)], expect: Value) {
        let pods = pods.iter().map(|(name, is_injected)| pod(name, *is_injected)).collect();
        let shown = match injected(arrival, pods) {
            Ok((known, pods)) => {
                let names: Vec<&str> = pods.iter().map(|pod| pod.name.as_str()).collect();
                let words: Vec<&str> = known.signals.iter().map(|signal| signal.word()).collect();
                json!([known.service, words, known.probed, names])
            }
            Err(why) => json!(why),
        };
        assert_eq!(shown, expect);
    }

    #[test]
    fn what_the_admitted_pods_say_counts() {
        let all = json!(["metrics", "traces", "logs"]);
        check(&arrival(true, &[]), &[("a", true), ("b", true)], json!(["cart", all, true, ["a", "b"]]));
        // The webhook was away for one of them.
        check(&arrival(true, &[]), &[("a", false), ("b", true)], json!(["cart", all, true, ["b"]]));
        check(&arrival(true, &[Signal::Logs]), &[("a", true)], json!(["cart", ["logs"], true, ["a"]]));
        let none = "none of its pods was injected when it was admitted, so nothing is waited for";
        check(&arrival(true, &[]), &[("a", false)], json!(none));
        // Of pods that the release itself injects the plan knows what comes.
        check(&arrival(false, &[Signal::Logs]), &[("a", false)], json!(["release", ["logs"], false, ["a"]]));
    }
}
