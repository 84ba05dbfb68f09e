//! What the desk in memory says of judges, containers, artefacts and promotions.

use base_explain::Report;
use futures_util::{StreamExt as _, stream};
use operate_execute::{History, RunId};
use operate_plan::Degraded;
use serde_json::{Value, json};

use super::{Desk, no_run};
use crate::{Following, JudgeWanted, Kept, OutputWanted, Refused, RefusedKind};

/// The one that there is.
pub(crate) const PROMOTION: &str = "promote-cart-2-ab";

pub(super) fn verdict() -> Value {
    let judged = json!({
        "name": "error_ratio", "layer": "service", "direction": "increase", "unit": "share", "new": 0.3, "old": 0.0,
        "effect": 0.3, "effect_low": 0.2, "effect_high": 0.4, "p_value": 0.001, "weight": 1.0, "critical": true,
        "outcome": "high", "note": "", "questions": ["errors.new"],
    });
    json!({
        "outcome": "fail", "sentence": "errors rose", "metrics": [judged], "score": 12.5,
        "layers": [{"layer": "service", "score": 12.5}, {"layer": "host", "score": null}], "hurt_since_ms": 1,
        "hurt_ms": 9, "links": [{"label": "errors", "question": "sum(x)"}], "notes": [], "at_ms": 10, "again_ms": null,
    })
}

fn unknown(code: &'static str, what: &str) -> Refused {
    Refused::new(RefusedKind::Unknown, code, Report::new(format!("there is no {what}")))
}

pub(super) fn standing(id: &str) -> Value {
    let stage = |environment: &str, run: Value, status: Value, stage: Value| json!({"environment": environment, "run": run, "status": status, "stage": stage, "actor": "ann", "reason": "", "attempts": 1});
    json!({
        "promotion": {
            "id": id, "project": "shop", "service": "cart", "version": "2", "image": "shop/cart@sha256:5f", "actor": "ann",
            "stages": ["dev", "prod"], "reason": "", "created_ms": 1,
        },
        "stages": [
            stage("dev", json!("cart-1"), json!("complete"), json!({"unproven": "nobody judged"})),
            stage("prod", Value::Null, Value::Null, json!("open")),
        ],
        "next": {"approval": {"stage": 1, "doubt": "nobody judged"}},
    })
}

pub(super) fn known(id: &str) -> Result<Value, Refused> {
    if id == PROMOTION { Ok(standing(id)) } else { Err(unknown("no-promotion", id)) }
}

pub(super) fn artefact(name: &str) -> Result<Kept, Refused> {
    let kept = |media_type: &str| Kept { media_type: media_type.into(), bytes: b"exit 3\n".to_vec() };
    match name {
        "cart.log" => Ok(kept("text/plain; charset=utf-8")),
        "page" => Ok(kept("text/html")),
        _ => Err(unknown("no-artefact", name)),
    }
}

fn line(at_ms: i64) -> Value {
    json!({"by": {"id": "5f", "name": "shop-cart", "version": "2"}, "at_ms": at_ms, "is_error": false, "text": "hello"})
}

impl Desk {
    async fn is_there(&self, run: &RunId) -> Result<(), Refused> {
        self.history.plan(run).await.map(drop).map_err(|error| no_run(&error))
    }

    pub(super) async fn judges(&self, wanted: JudgeWanted, service: Option<String>) -> Result<Value, Refused> {
        let service = service.unwrap_or_else(|| "cart".into());
        match wanted {
            JudgeWanted::Replay { since_ms } => {
                let again = json!({
                    "run": "cart-1", "version": "2", "was_bad": null, "how": "nobody can say", "outcome": "pass",
                    "after_ms": since_ms, "sentence": "all is well",
                });
                return Ok(json!({
                    "service": service, "judged": [again], "tally": {"good": 0, "median_ms": 5}, "false_abort_rate": 0.0,
                    "miss_rate": 0.0, "gone": [], "never_judged": [], "unanswered": [], "degraded": [],
                }));
            }
            JudgeWanted::Run(run) => self.is_there(&run).await?,
            JudgeWanted::Now => {}
        }
        let chart = json!({"label": "errors", "language": "promql", "expression": "up", "start_ms": 1, "end_ms": 2});
        let lacks = Degraded::new("1 of 9 answers", "nobody answers", "loki");
        Ok(json!({
            "service": service, "environment": "prod", "version": "2", "verdict": verdict(), "charts": [chart],
            "unanswered": ["nobody answers"], "is_alone": false, "degraded": [lacks], "prometheus": null, "loki": null,
        }))
    }

    pub(super) async fn wrote(&self, run: RunId, wanted: OutputWanted) -> Result<Value, Refused> {
        self.is_there(&run).await?;
        let lines: Vec<_> = (0..3).map(line).filter(|line| line["at_ms"].as_i64() >= Some(wanted.since_ms)).collect();
        let lines: Vec<_> = lines.into_iter().take(usize::try_from(wanted.tail).unwrap_or(usize::MAX)).collect();
        let lacks = Degraded::new("the lines of shop-cart-next", "the engine went away", "docker");
        Ok(json!({"writers": [line(0)["by"]], "lines": lines, "degraded": [lacks]}))
    }

    pub(super) async fn writes(&self, run: RunId, _: OutputWanted) -> Result<Following, Refused> {
        self.is_there(&run).await?;
        let lacks = Degraded::new("the lines of shop-cart", "the engine went away", "docker");
        let all = [json!({"line": line(1)}), json!({ "lacks": lacks })];
        Ok(stream::iter(all).chain(stream::pending()).boxed())
    }

    pub(super) async fn keeps(&self, run: RunId) -> Result<Value, Refused> {
        self.is_there(&run).await?;
        let one = json!({
            "id": 1, "run": run, "name": "cart.log", "media_type": "text/plain", "sha256": "5f", "size_bytes": 7,
            "tags": {"kind": "container-log"}, "created_ms": 1, "expires_ms": null,
        });
        Ok(json!([one]))
    }
}
