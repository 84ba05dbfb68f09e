//! The executor's judge: asks the telemetry what `operate/gate` wants to know and hands the answers over. The gate judges; this only asks.

use std::sync::Arc;

use async_trait::async_trait;
use base_world::Clock;
use operate_execute::{Context, Health, Judge, Judgement, Ruling};
use operate_gate::{
    Arrival, Freeze, LayerScore, Outcome, Settings, Slo, Subject, before, judge, question_alertmanager, questions,
    questions_before,
};
use operate_plan::{Class, Failure, ObjectId};
use operate_scan::ScanSettings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{ArrivalJudge, Checks, Elsewhere, ImageJudge, Telemetry};

/// What a plan's judge step asks for; `at` is who is asked in the place of the usual ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// May the release begin?
    Before {
        subject: Box<Subject>,
        settings: Box<Settings>,
        slo: Slo,
        freezes: Vec<Freeze>,
        #[serde(default, skip_serializing_if = "Elsewhere::is_nowhere")]
        at: Elsewhere,
    },
    /// Is it good? Asked until it is decided.
    After {
        subject: Box<Subject>,
        settings: Box<Settings>,
        #[serde(default, skip_serializing_if = "Elsewhere::is_nowhere")]
        at: Elsewhere,
    },
    /// Is anything known to be wrong with what is in the image? `image` is what the plan names, `named` what a person asked for.
    Scan { image: String, named: String, settings: Box<ScanSettings> },
    /// Does the telemetry of a workload's new pods arrive? Asked until it is decided. `context` is a kubeconfig's, empty for the current one.
    Arrives {
        context: String,
        object: ObjectId,
        arrival: Arrival,
        #[serde(default, skip_serializing_if = "Elsewhere::is_nowhere")]
        at: Elsewhere,
    },
}

/// Between two looks, where the judge has no wish.
const AGAIN_MS: u64 = 5_000;

/// Judges by a Prometheus, a Loki, an Alertmanager, and the project's own checks; and images by what is in them.
pub struct GateJudge {
    pub telemetry: Telemetry,
    pub checks: Checks,
    pub images: Option<ImageJudge>,
    pub arrivals: Option<ArrivalJudge>,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Judge for GateJudge {
    async fn judge(&self, context: &Context, request: &Value, since_ms: i64) -> Result<Judgement, Failure> {
        let request: Request = serde_json::from_value(request.clone()).map_err(|error| {
            let next = "the plan was made by another version of apm: plan again";
            Failure::new(Class::Invalid, "judge.request", "the judge does not understand the plan", next)
                .caused_by(&error)
        })?;
        match request {
            Request::Before { subject, settings, slo, freezes, at } => {
                let telemetry = self.telemetry.elsewhere(&at);
                let mut asked = questions_before(&subject, &settings, &slo, self.clock.now_ms());
                if telemetry.has_alertmanager() {
                    asked.push(question_alertmanager(&subject, &settings, self.clock.now_ms()));
                }
                let evidence = telemetry.ask(asked).await;
                let admission = before(&subject, &slo, &freezes, &evidence, self.clock.now_ms());
                let sentence = admission.sentence;
                let open = Ruling::Pass { sentence: sentence.clone() };
                Ok(if admission.open { open } else { Ruling::Fail { sentence, hurt_since_ms: None } }.into())
            }
            Request::After { mut subject, settings, at } => {
                let telemetry = self.telemetry.elsewhere(&at);
                // Only now is it known when the new version got its first traffic.
                subject.released_ms = since_ms;
                let asked = questions(&subject, &settings, self.clock.now_ms());
                let (mut evidence, checked) = tokio::join!(telemetry.ask(asked), self.checks.run(&subject));
                evidence.extend(checked);
                let verdict = judge(&subject, &settings, &evidence, self.clock.now_ms());
                let (health, sentence) = (health(&verdict.layers), verdict.sentence);
                let ruling = match verdict.outcome {
                    Outcome::Continue => {
                        let again_ms = verdict.again_ms.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(AGAIN_MS);
                        Ruling::Wait { again_ms, sentence }
                    }
                    Outcome::Pass => Ruling::Pass { sentence },
                    Outcome::Fail => Ruling::Fail { sentence, hurt_since_ms: verdict.hurt_since_ms },
                    Outcome::Inconclusive => Ruling::Inconclusive { sentence },
                };
                Ok(Judgement { ruling, health })
            }
            Request::Arrives { context: kube_context, object, arrival, at } => match &self.arrivals {
                Some(arrivals) => {
                    let times = (since_ms, self.clock.now_ms());
                    arrivals
                        .judge(context, (&kube_context, &object, &arrival), &self.telemetry.elsewhere(&at), times)
                        .await
                }
                None => {
                    let next = "carry the run out where the cluster can be asked";
                    Err(Failure::new(Class::Invalid, "judge.request", "nobody here looks at pods", next))
                }
            },
            Request::Scan { image, named, settings } => match &self.images {
                Some(images) => images.judge(context, &image, &named, &settings).await,
                None => {
                    let next = "carry the run out where an engine of containers is";
                    Err(Failure::new(Class::Invalid, "judge.request", "nobody here looks into images", next))
                }
            },
        }
    }
}

/// In whole points: a trend is read, not reckoned with.
fn health(layers: &[LayerScore]) -> Health {
    let known = layers.iter().filter_map(|layer| Some((layer.layer, layer.score?)));
    known.map(|(layer, score)| (layer.name().to_owned(), score.round().clamp(0.0, 100.0) as u8)).collect()
}
