//! Who else acts on the pods of a release: disruption budgets, which hold evictions and never a rollout, and autoscalers, which follow one
//! Deployment by its name.

use operate_manifest::quantity;
use operate_plan::Severity;
use serde_json::Value;

use super::super::{canary, color, object};
use super::pods::{Moves, ONE};
use super::{Findings, Room, name, selects};
use crate::Strategy;

const AUTOSCALER: &str = "HorizontalPodAutoscaler.autoscaling";

pub(super) fn check(room: &Room<'_>, moves: &[Moves<'_>], findings: &mut Findings) {
    let budgets = room.of("PodDisruptionBudget.policy");
    for one in moves {
        let labels = &one.template["metadata"]["labels"];
        let of: Vec<_> = budgets.iter().filter(|budget| selects(&budget["spec"]["selector"], labels)).collect();
        budgeted(one, &of, findings);
    }
    autoscaled(room, findings);
}

fn budgeted(one: &Moves<'_>, budgets: &[&&Value], findings: &mut Findings) {
    const FREE: &str = "a rollout evicts nobody and goes on, but no node with such a pod can be drained";
    if let [first, second, ..] = budgets {
        let message = format!(
            "the budgets {} and {} both select the pods of {}, so none of them can be evicted: {FREE}",
            name(first),
            name(second),
            one.title
        );
        findings.add("two-budgets", Severity::Warning, message, "let each pod have one PodDisruptionBudget");
    }
    for budget in budgets {
        let spec = &budget["spec"];
        let pods = one.new_pods;
        let part = |value: &Value| match value {
            Value::Number(number) => number.as_u64().map(i128::from),
            // A share of pods is rounded up, whichever it is.
            other => {
                let percent = quantity(other.as_str()?.strip_suffix('%')?)? / ONE;
                Some((pods * percent.clamp(0, 100) + 99) / 100)
            }
        };
        let (words, spare) = match (part(&spec["minAvailable"]), part(&spec["maxUnavailable"])) {
            (Some(least), _) => (format!("minAvailable {}", plain(&spec["minAvailable"])), pods - least),
            (None, Some(most)) => (format!("maxUnavailable {}", plain(&spec["maxUnavailable"])), most),
            (None, None) => continue,
        };
        if pods > 0 && spare <= 0 {
            let message = format!(
                "budget {} lets none of the {pods} pods of {} be evicted ({words}): {FREE}",
                name(budget),
                one.title
            );
            let fix = "let it spare one pod, `maxUnavailable: 1`, or run one pod more";
            findings.add("no-evictions", Severity::Warning, message, fix);
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn autoscaled(room: &Room<'_>, findings: &mut Findings) {
    let (release, strategy) = (room.release, room.release.strategy);
    for scaler in room.of(AUTOSCALER) {
        let Some(deployment) = color::scaled(release, scaler) else { continue };
        let is_own = room.items().any(|body| object(body).kind == AUTOSCALER && name(body) == name(scaler));
        match strategy {
            Strategy::BlueGreen if !is_own => {
                let message = format!(
                    "autoscaler {} scales the Deployment {deployment}, which this release replaces by one of another name, and it is not among the manifests: it would scale nobody",
                    name(scaler)
                );
                let fix = "put it into the manifests, and it follows the color; or use `--strategy rolling`";
                findings.add("left-autoscaler", Severity::Warning, message, fix);
            }
            Strategy::Canary if canary::has_steps(release) => {
                let message = format!(
                    "autoscaler {} counts the pods of the canary among those of {deployment}, whose labels they have",
                    name(scaler)
                );
                let fix = "the number of pods may change while the canary is judged";
                findings.add("counted-canary", Severity::Info, message, fix);
            }
            _ => {}
        }
    }
}
