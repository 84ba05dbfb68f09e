//! The arrival step of a release: the pods of a workload's newest version are looked up in their cluster, telemetry is asked for their first sample, span
//! and line, and where nothing comes it is found out why. What must have come is `operate/gate`'s to say.

mod admitted;
mod why;

use std::sync::Arc;

use base_explain::Report;
use operate_execute::{Context, Judgement, Ruling, Tell};
use operate_gate::{Arrival, Arrived, Instance, Signal, Unproven, arrived, questions_arrival};
use operate_plan::{Class, Failure, ObjectId, Severity};
use operate_target_kube::{KubeTarget, NewPod};

use crate::Telemetry;

/// Opens the cluster of a context.
pub type OpenCluster = Arc<dyn Fn(&str) -> Result<KubeTarget, Report> + Send + Sync>;

/// Whose telemetry a step waits for.
pub struct ArrivalJudge {
    pub open: OpenCluster,
    pub tell: Arc<dyn Tell>,
}

impl ArrivalJudge {
    /// `kube_context` is empty for the current one.
    pub(crate) async fn judge(
        &self,
        context: &Context,
        asked: (&str, &ObjectId, &Arrival),
        telemetry: &Telemetry,
        (since_ms, now_ms): (i64, i64),
    ) -> Result<Judgement, Failure> {
        let (kube_context, object, arrival) = asked;
        let target = (self.open)(kube_context).map_err(|report| {
            let next = "`apm k8s contexts` shows what the kubeconfig has";
            Failure::new(Class::Invalid, "kube.config-file", report.one_line(), next)
        })?;
        let pods = target.newest_pods(object).await?;
        if pods.is_empty() {
            return Ok(Ruling::Pass { sentence: format!("{object} has no pods, so nothing can come of them") }.into());
        }
        let (arrival, pods) = match admitted::injected(arrival, pods) {
            Ok(known) => known,
            Err(sentence) if arrival.unproven == Unproven::Warn => {
                self.tell.tell(&context.run, Severity::Warning, &format!("{object}: {sentence}"));
                return Ok(Ruling::Pass { sentence }.into());
            }
            Err(sentence) => return Ok(Ruling::Inconclusive { sentence: format!("{sentence}. Is that so?") }.into()),
        };
        let arrival = &arrival;
        let instances: Vec<Instance> = pods.iter().map(instance).collect();
        let evidence = telemetry.ask(questions_arrival(arrival, &instances, now_ms)).await;
        let ruling = match arrived(arrival, &instances, &evidence, since_ms, now_ms) {
            Arrived::Wait { again_ms, sentence } => Ruling::Wait { again_ms, sentence },
            Arrived::All { sentence } => Ruling::Pass { sentence },
            Arrived::Quiet { sentence } if arrival.unproven == Unproven::Warn => {
                self.tell.tell(&context.run, Severity::Warning, &sentence);
                Ruling::Pass { sentence: format!("{sentence}; the settings let it go on") }
            }
            Arrived::Quiet { sentence } => Ruling::Inconclusive { sentence: format!("{sentence}. Is that so?") },
            Arrived::Unknown { sentence } => Ruling::Inconclusive { sentence: format!("{sentence}. Go on?") },
            Arrived::Missing { signals, sentence } => return Err(missing(&target, &pods, &signals, &sentence).await),
            Arrived::Nothing { signals, sentence } => match why::likely(&target, &pods, &signals).await {
                Some(why) => return Err(failed(format!("{sentence}: {why}"))),
                None => Ruling::Inconclusive { sentence: format!("{sentence}, and nothing says why. Go on without?") },
            },
        };
        Ok(ruling.into())
    }
}

async fn missing(target: &KubeTarget, pods: &[NewPod], signals: &[Signal], sentence: &str) -> Failure {
    match why::likely(target, pods, signals).await {
        Some(why) => failed(format!("{sentence}: {why}")),
        None => failed(sentence.to_owned()),
    }
}

fn failed(message: String) -> Failure {
    let next =
        "look at the pod's log and its OTEL_ variables; `kubernetes.arrival` in the settings says what is expected";
    Failure::new(Class::Invalid, "arrival.missing", message, next)
}

fn instance(pod: &NewPod) -> Instance {
    let begun_ms = pod.begun.parse::<jiff::Timestamp>().map_or(0, |at| at.as_millisecond());
    Instance { pod: pod.name.clone(), uid: pod.uid.clone(), begun_ms }
}
