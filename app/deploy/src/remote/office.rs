//! What an engine elsewhere is asked beside runs: its judge, what a release would change, what containers write, what is kept, promotions, and
//! releases of compose projects that are read here. It reads no settings.

use operate_execute::RunId;
use operate_plan::Dora;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::events::{HEAD_MAX, Parser, SILENCE_MAX, body};
use super::{Begun, LIMITS, PlanAnswer, Remote, RemoteError, away, escaped, wanted};
use crate::{Artefact, Asked, Heard, JudgeAsk, Lines, Looked, Output, Planned, PromoteAsk, Replay, Sent, Standing};
use base_http::{Payload, Request};
use operate_deploy::Difference;

/// Lines that a slow reader may lag behind.
const LAG: usize = 256;

#[derive(Deserialize)]
struct Differs {
    service: String,
    version: String,
    differences: Vec<Difference>,
}

#[derive(Deserialize)]
struct Replayed {
    service: String,
    #[serde(flatten)]
    replay: Replay,
}

#[derive(Deserialize)]
struct Kept {
    artefacts: Vec<Artefact>,
}

#[derive(Deserialize)]
struct Standings {
    promotions: Vec<Standing>,
}

#[derive(Deserialize)]
struct DecidedThere {
    promotion: Standing,
    found: Option<String>,
}

#[derive(Deserialize)]
struct Figures {
    dora: Dora,
}

fn words(pairs: &[(&str, Option<String>)]) -> String {
    let mut words = form_urlencoded::Serializer::new(String::new());
    for (name, value) in pairs {
        if let Some(value) = value {
            words.append_pair(name, value);
        }
    }
    match words.finish() {
        words if words.is_empty() => words,
        words => format!("?{words}"),
    }
}

fn asked_lines(lines: Lines) -> String {
    words(&[("since_ms", Some(lines.since_ms.to_string())), ("tail", Some(lines.tail.to_string()))])
}

impl Remote {
    /// The judge's word there.
    pub async fn judge(&self, ask: &JudgeAsk, environment: Option<&str>) -> Result<Looked, RemoteError> {
        let environment = ("environment", environment.map(str::to_owned));
        match &ask.run {
            Some(run) => self.get(&format!("/{}/judge{}", escaped(run), words(&[environment]))).await,
            None => self.get(&format!("/judge{}", words(&[("service", ask.service.clone()), environment]))).await,
        }
    }

    /// Past releases judged again there, with the service that was meant.
    pub async fn replay(
        &self,
        service: Option<&str>,
        environment: Option<&str>,
        since_ms: i64,
    ) -> Result<(String, Replay), RemoteError> {
        let words = words(&[
            ("service", service.map(str::to_owned)),
            ("environment", environment.map(str::to_owned)),
            ("since_ms", Some(since_ms.to_string())),
        ]);
        let answer: Replayed = self.get(&format!("/replay{words}")).await?;
        Ok((answer.service, answer.replay))
    }

    /// What a release would change there; its service and version first.
    pub async fn differences(
        &self,
        asked: &Asked,
        environment: Option<&str>,
    ) -> Result<(String, String, Vec<Difference>), RemoteError> {
        let words = words(&[
            ("service", asked.service.clone()),
            ("environment", environment.map(str::to_owned)),
            ("image", asked.image.clone()),
            ("version", asked.version.clone()),
        ]);
        let answer: Differs = self.get(&format!("/diff{words}")).await?;
        Ok((answer.service, answer.version, answer.differences))
    }

    /// DORA's keys of the releases since then.
    pub async fn dora(&self, since_ms: i64) -> Result<Dora, RemoteError> {
        let answer: Figures = self.get(&format!("/metrics?since_ms={since_ms}")).await?;
        Ok(answer.dora)
    }

    /// What is kept with a run.
    pub async fn artefacts(&self, run: &RunId) -> Result<Vec<Artefact>, RemoteError> {
        let answer: Kept = self.get(&format!("/{}/artefacts", escaped(&run.0))).await?;
        Ok(answer.artefacts)
    }

    /// The bytes of one.
    pub async fn artefact(&self, run: &RunId, name: &str) -> Result<Vec<u8>, RemoteError> {
        let url = self.address(&format!("/{}/artefacts/{}", escaped(&run.0), escaped(name)));
        let answer = self.client.get(&url, &[], LIMITS).await.map_err(|error| away(&error))?;
        if answer.status != 200 {
            return Err(super::refused(&url, answer.status, &answer.body));
        }
        Ok(answer.body.to_vec())
    }

    /// What the containers of a run have written.
    pub async fn output(&self, run: &RunId, lines: Lines) -> Result<Output, RemoteError> {
        self.get(&format!("/{}/output{}", escaped(&run.0), asked_lines(lines))).await
    }

    /// What they write from now on too; an engine that goes away ends it.
    pub async fn follow_output(
        &self,
        run: &RunId,
        lines: Lines,
    ) -> Result<mpsc::Receiver<Result<Heard, RemoteError>>, RemoteError> {
        let url = self.address(&format!("/{}/output/watch{}", escaped(&run.0), asked_lines(lines)));
        let mut headers = vec![("accept", "text/event-stream".to_owned())];
        headers.extend(self.token.iter().map(|token| ("authorization", format!("Bearer {token}"))));
        let (head_max, silence_max) = (HEAD_MAX, SILENCE_MAX);
        let (asked, payload) = (url.clone(), Payload::None);
        let request = Request { method: "GET", url: asked, headers, payload, head_max, silence_max };
        let mut opened = self.streams.open(request).await.map_err(|error| away(&error))?;
        if opened.status != 200 {
            return Err(body(&url, opened).await);
        }
        let (say, heard) = mpsc::channel(LAG);
        tokio::spawn(async move {
            let mut parser = Parser::default();
            loop {
                let events = match opened.chunk().await {
                    Ok(Some(bytes)) => parser.push(&bytes),
                    Ok(None) => return,
                    Err(error) => {
                        let _ = say.send(Err(away(&error))).await;
                        return;
                    }
                };
                // What this version does not know is passed over.
                for line in events.iter().filter_map(|data| serde_json::from_str::<Heard>(data).ok()) {
                    if say.send(Ok(line)).await.is_err() {
                        return;
                    }
                }
                if parser.is_too_long() {
                    return;
                }
            }
        });
        Ok(heard)
    }

    /// Promotions as they stand, the newest first.
    pub async fn standings(&self, limit: usize) -> Result<Vec<Standing>, RemoteError> {
        let answer: Standings = self.get_at(&format!("/apm/v1/promotions?limit={limit}")).await?;
        Ok(answer.promotions)
    }

    /// The one of this name; `None` when there is none.
    pub async fn standing(&self, id: &str) -> Result<Option<Standing>, RemoteError> {
        match self.get_at(&format!("/apm/v1/promotions/{}", escaped(id))).await {
            Ok(standing) => Ok(Some(standing)),
            Err(RemoteError::Refused { status: 404, code, .. }) if code == "no-promotion" => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Decides a promotion there; where its image was found comes with it.
    pub async fn promote(
        &self,
        ask: &PromoteAsk,
        environment: Option<&str>,
    ) -> Result<(Standing, Option<String>), RemoteError> {
        let body = json!({
            "service": ask.service, "version": ask.version, "image": ask.image, "from": ask.from,
            "environment": environment, "actor": ask.actor, "reason": ask.reason,
        });
        let answer: DecidedThere = self.post_at("/apm/v1/promotions", &body).await?;
        Ok((answer.promotion, answer.found))
    }

    /// The plan of the stage that a yes would begin.
    pub async fn plan_next(&self, id: &str, asked: &Asked) -> Result<Planned, RemoteError> {
        let body = json!({"actor": asked.actor, "reason": asked.reason, "dry_run": true});
        let answer: PlanAnswer = self.post_at(&format!("/apm/v1/promotions/{}/approve", escaped(id)), &body).await?;
        Ok(Planned { plan: answer.plan, findings: answer.findings })
    }

    /// A yes.
    pub async fn approve_next(&self, id: &str, asked: &Asked) -> Result<RunId, RemoteError> {
        let body = json!({"actor": asked.actor, "reason": asked.reason});
        let begun: Begun = self.post_at(&format!("/apm/v1/promotions/{}/approve", escaped(id)), &body).await?;
        Ok(begun.run)
    }

    /// A no.
    pub async fn reject_next(&self, id: &str, actor: &str, reason: &str) -> Result<Standing, RemoteError> {
        let body = json!({"actor": actor, "reason": reason});
        self.post_at(&format!("/apm/v1/promotions/{}/reject", escaped(id)), &body).await
    }

    /// The plan of a compose project that was read here.
    pub async fn prepare_sent(
        &self,
        asked: &Asked,
        environment: Option<&str>,
        sent: &Sent,
    ) -> Result<Planned, RemoteError> {
        let answer: PlanAnswer = self.post("", &with(wanted(asked, environment, true), sent)).await?;
        Ok(Planned { plan: answer.plan, findings: answer.findings })
    }

    /// Plans it and begins.
    pub async fn create_sent(
        &self,
        asked: &Asked,
        environment: Option<&str>,
        sent: &Sent,
    ) -> Result<RunId, RemoteError> {
        let begun: Begun = self.post("", &with(wanted(asked, environment, false), sent)).await?;
        Ok(begun.run)
    }
}

fn with(mut body: Value, sent: &Sent) -> Value {
    // Plain data, in which nothing can go wrong.
    body["compose"] = serde_json::to_value(sent).unwrap_or_default();
    body
}
