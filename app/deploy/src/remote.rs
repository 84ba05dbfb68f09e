//! The desk of an engine elsewhere, over `/apm/v1/deployments`: the same runs, plans and journals, without what is sealed. What is asked
//! for there is carried out there. It reads no settings and no history.

use std::time::Duration;

use base_explain::Report;
use base_http::{Answer, Authorization, Client, HttpConfig, HttpError, Limits};
use operate_execute::{Command, Entry, Event, Filter, Order, RunId, RunRow, State, Tag};
use operate_plan::{Finding, Plan, StepId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{Asked, Planned};

mod events;
mod office;

pub use events::Following;

const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), body_bytes: 64 << 20 };
/// Entries of one answer.
const PAGE: usize = 1_000;

/// Why an engine did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// It could not be asked, or answered nonsense.
    #[error("{}", .0.one_line())]
    Away(Report),
    /// It said no, with a stable code of docs/guides/deployments-api.md.
    #[error("{}", .report.one_line())]
    Refused { status: u16, code: String, report: Report },
}

impl RemoteError {
    pub fn report(&self) -> &Report {
        match self {
            RemoteError::Away(report) | RemoteError::Refused { report, .. } => report,
        }
    }
}

/// An engine elsewhere.
pub struct Remote {
    client: Client,
    /// For journals, which are read as they come.
    streams: Client,
    url: String,
    token: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    deployments: Vec<RunRow>,
}

#[derive(Deserialize)]
struct PlanAnswer {
    plan: Plan,
    #[serde(default)]
    findings: Vec<Finding>,
}

/// A line of a journal as the API tells it.
#[derive(Deserialize)]
struct Told {
    run: RunId,
    seq: u64,
    at_ms: i64,
    kind: String,
    detail: Value,
    hash: operate_plan::Digest,
}

#[derive(Deserialize)]
struct Journal {
    events: Vec<Told>,
}

#[derive(Deserialize)]
struct Tagged {
    tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Begun {
    run: RunId,
}

impl Told {
    /// `None` for an event that this version does not know.
    fn entry(self) -> Option<Entry> {
        let event: Event = serde_json::from_value(json!({ self.kind: self.detail })).ok()?;
        Some(Entry { run: self.run, seq: self.seq, at_ms: self.at_ms, event, hash: self.hash })
    }
}

impl Remote {
    /// `url` without the API's own path; connects to nothing yet.
    pub fn new(url: &str, token: Option<&str>) -> Result<Remote, RemoteError> {
        let config = HttpConfig { authorization: token.map(Authorization::bearer), ..HttpConfig::default() };
        let broken = |error: HttpError| RemoteError::Away(Report::of(&error));
        Ok(Remote {
            streams: Client::verbatim(config.tls_config.clone()).map_err(broken)?,
            client: Client::new(config).map_err(broken)?,
            url: url.trim_end_matches('/').to_owned(),
            token: token.map(str::to_owned),
        })
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Newest first, at most 500.
    pub async fn runs(&self, filter: &Filter) -> Result<Vec<RunRow>, RemoteError> {
        let mut words = form_urlencoded::Serializer::new(String::new());
        words.append_pair("limit", &filter.limit.to_string());
        if let Some(status) = filter.status {
            words.append_pair("status", status.word());
        }
        for (name, value) in filter.labels.iter().filter(|(name, _)| ["service", "environment"].contains(&&**name)) {
            words.append_pair(name, value);
        }
        if !filter.tags.is_empty() {
            // No tag has a comma.
            let tags: Vec<&str> = filter.tags.iter().map(Tag::as_str).collect();
            words.append_pair("tag", &tags.join(","));
        }
        if let Some(before) = &filter.before {
            words.append_pair("before", &before.0);
        }
        let rows: Rows = self.get(&format!("?{}", words.finish())).await?;
        Ok(rows.deployments)
    }

    pub async fn plan(&self, run: &RunId) -> Result<Plan, RemoteError> {
        let answer: PlanAnswer = self.get(&format!("/{}/plan", escaped(&run.0))).await?;
        Ok(answer.plan)
    }

    pub async fn entries(&self, run: &RunId, after: u64) -> Result<Vec<Entry>, RemoteError> {
        let (mut all, mut after): (Vec<Entry>, u64) = (Vec::new(), after);
        loop {
            let path = format!("/{}/events?after={after}&limit={PAGE}", escaped(&run.0));
            let page: Journal = self.get(&path).await?;
            let is_last = page.events.len() < PAGE;
            // Of all of them: a page may hold nothing that this version knows.
            let newest = page.events.last().map_or(after, |told| told.seq);
            all.extend(page.events.into_iter().filter_map(Told::entry));
            // Whoever answers the same page again and again has no more of it.
            if is_last || newest <= after {
                return Ok(all);
            }
            after = newest;
        }
    }

    /// The plan and where it stands.
    pub async fn look(&self, run: &RunId) -> Result<(Plan, State), RemoteError> {
        let plan = self.plan(run).await?;
        Ok((plan, State::of(&self.entries(run, 0).await?)))
    }

    /// The run that is meant by a name, or by nothing: the newest.
    pub async fn find(&self, name: Option<&str>) -> Result<RunId, RemoteError> {
        if let Some(name) = name {
            return Ok(RunId(name.to_owned()));
        }
        let newest = self.runs(&Filter { limit: 1, ..Filter::default() }).await?.into_iter().next();
        let none = || RemoteError::Away(Report::new("nothing was deployed yet").hint("begin with `apm deploy`"));
        newest.map(|row| row.run).ok_or_else(none)
    }

    /// The plan as it would be carried out; changes nothing.
    pub async fn prepare(&self, asked: &Asked, environment: Option<&str>) -> Result<Planned, RemoteError> {
        let answer: PlanAnswer = self.post("", &wanted(asked, environment, true)).await?;
        Ok(Planned { plan: answer.plan, findings: answer.findings })
    }

    /// Plans and begins.
    pub async fn create(&self, asked: &Asked, environment: Option<&str>) -> Result<RunId, RemoteError> {
        let begun: Begun = self.post("", &wanted(asked, environment, false)).await?;
        Ok(begun.run)
    }

    /// The plan of going back from a run to `asked.version`, as the very image that it was; changes nothing.
    pub async fn prepare_back(&self, run: &RunId, asked: &Asked) -> Result<Planned, RemoteError> {
        let answer: PlanAnswer = self.post(&format!("/{}/rollback", escaped(&run.0)), &backwards(asked, true)).await?;
        Ok(Planned { plan: answer.plan, findings: answer.findings })
    }

    /// Plans that and begins.
    pub async fn back(&self, run: &RunId, asked: &Asked) -> Result<RunId, RemoteError> {
        let begun: Begun = self.post(&format!("/{}/rollback", escaped(&run.0)), &backwards(asked, false)).await?;
        Ok(begun.run)
    }

    /// Leaves an order; without a step it is for the one that waits.
    pub async fn order(&self, run: &RunId, command: &Command) -> Result<(), RemoteError> {
        let verb = match &command.order {
            Order::Pause => "pause",
            Order::Resume | Order::UndoAgain => "resume",
            Order::Cancel => "cancel",
            Order::Skip(_) => "skip",
            Order::Approve(_) => "approve",
            Order::Reject(_) => "reject",
        };
        let step = command.order.step().map(|StepId(step)| step);
        let body = json!({"step": step, "actor": command.actor, "reason": command.reason});
        let _: Value = self.post(&format!("/{}/{verb}", escaped(&run.0)), &body).await?;
        Ok(())
    }

    /// Gives a run tags, or takes them; returns all that it has then.
    pub async fn retag(
        &self,
        run: &RunId,
        tags: &[Tag],
        takes: bool,
        actor: &str,
        reason: &str,
    ) -> Result<Vec<Tag>, RemoteError> {
        let (url, method) = (self.address(&format!("/{}/tags", escaped(&run.0))), if takes { "DELETE" } else { "PUT" });
        let body = json!({"tags": tags, "actor": actor, "reason": reason});
        let sent = self.client.request(method, &url, "application/json", body.to_string(), LIMITS).await;
        let answer: Tagged = read(&url, &sent.map_err(|error| away(&error))?)?;
        Ok(answer.tags)
    }

    /// The run's journal from its beginning, as it grows.
    pub fn follow(&self, run: &RunId) -> Following {
        let url = self.address(&format!("/{}/watch", escaped(&run.0)));
        Following::new(self.streams.clone(), url, self.token.clone())
    }

    fn address(&self, path: &str) -> String {
        format!("{}/apm/v1/deployments{path}", self.url)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        self.get_at(&format!("/apm/v1/deployments{path}")).await
    }

    async fn get_at<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        let url = format!("{}{path}", self.url);
        let answer = self.client.get(&url, &[], LIMITS).await.map_err(|error| away(&error))?;
        read(&url, &answer)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, RemoteError> {
        self.post_at(&format!("/apm/v1/deployments{path}"), body).await
    }

    async fn post_at<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T, RemoteError> {
        let url = format!("{}{path}", self.url);
        let sent = self.client.post(&url, "application/json", body.to_string(), LIMITS).await;
        read(&url, &sent.map_err(|error| away(&error))?)
    }
}

fn wanted(asked: &Asked, environment: Option<&str>, is_dry: bool) -> Value {
    json!({
        "service": asked.service, "environment": environment, "image": asked.image, "version": asked.version,
        "strategy": asked.strategy, "adopt": asked.adopt, "force": asked.force, "repair": asked.repair, "dry_run": is_dry,
        "actor": asked.actor, "reason": asked.reason,
    })
}

fn backwards(asked: &Asked, is_dry: bool) -> Value {
    let run = asked.as_of.as_ref().map(|run| run.0.clone());
    json!({"to": run.or_else(|| asked.version.clone()), "dry_run": is_dry, "actor": asked.actor, "reason": asked.reason})
}

fn away(error: &HttpError) -> RemoteError {
    RemoteError::Away(Report::of(error).hint("`--server` names the engine, as `apm up` prints it"))
}

fn read<T: DeserializeOwned>(url: &str, answer: &Answer) -> Result<T, RemoteError> {
    if !(200..300).contains(&answer.status) {
        return Err(refused(url, answer.status, &answer.body));
    }
    serde_json::from_slice(&answer.body).map_err(|error| {
        let report = Report::new(format!("{url} answers something that is not understood")).because(error.to_string());
        RemoteError::Away(report.hint("the engine may be of another version"))
    })
}

/// A refusal in the API's own form, or what else was said.
fn refused(url: &str, status: u16, body: &[u8]) -> RemoteError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let error = &body["error"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let Some(message) = text(&error["message"]) else {
        let report = Report::new(format!("{url} answers {status}"));
        let hint = match status {
            401 | 403 => "APM_TOKEN or `--token-file` gives the token",
            404 => "it is no engine of apm, or one that takes no deployments",
            _ => "`apm up` prints where the engine listens",
        };
        return RemoteError::Refused { status, code: String::new(), report: report.hint(hint) };
    };
    let mut report = Report::new(message);
    report.causes = error["causes"].as_array().into_iter().flatten().filter_map(text).collect();
    // Whose hint is a path of the API is of no help to whoever types commands.
    report.hint = text(&error["hint"]).filter(|hint| !hint.starts_with("GET /"));
    if status == 401 {
        report = report.hint("APM_TOKEN or `--token-file` gives the token");
    }
    RemoteError::Refused { status, code: text(&error["code"]).unwrap_or_default(), report }
}

/// A name as one part of a path (RFC 3986, §2.3).
fn escaped(name: &str) -> String {
    let one = |byte: u8| match byte {
        byte if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    name.bytes().map(one).collect()
}

#[cfg(test)]
mod tests;
