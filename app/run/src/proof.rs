//! Proves that telemetry arrives: looks for the first trace in the engine, and when none comes finds out why. Does not know
//! how the program was started; it is told.

use std::time::Duration;

use operate_agents::Agent;
use serde::Deserialize;
use tokio::sync::mpsc::Sender;
use tokio::time::Instant;

use crate::Tone;
use crate::status::{Said, Status};

const POLL: Duration = Duration::from_millis(500);
/// The engine counts as absent only when it has not answered for this long: it may be starting too.
const ENGINE_PATIENCE: Duration = Duration::from_secs(3);
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// What the supervisor hears while the program runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// A sentence for the person.
    Line(Tone, String),
    /// The sentence that names the first trace.
    Arrived(String),
    /// The program restarts itself on change: its reloader's name.
    Reloader(String),
}

/// Whether an agent was put into the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Carried {
    /// `answers`: the frameworks that answer requests or take up jobs.
    Agent {
        instruments: Vec<&'static str>,
        answers: Vec<&'static str>,
    },
    EnvironmentOnly {
        why: String,
    },
}

impl From<&Agent> for Carried {
    fn from(agent: &Agent) -> Carried {
        match agent {
            Agent::Ready { instruments, answers } => {
                Carried::Agent { instruments: instruments.clone(), answers: answers.clone() }
            }
            Agent::NotYetInstrumented { why } | Agent::Refused { why } => Carried::EnvironmentOnly { why: why.clone() },
        }
    }
}

/// What has been seen so far; [`diagnose`] makes a sentence of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Facts {
    /// Why the engine's API does not answer.
    pub(crate) engine_trouble: Option<String>,
    /// Whether something listens where the telemetry is sent.
    pub(crate) otlp_listens: bool,
    pub(crate) started: bool,
    pub(crate) disabled: Option<String>,
    pub(crate) clash: bool,
    /// The program has made a span, whether or not it arrived.
    pub(crate) span_made: bool,
    pub(crate) export_failed: Option<String>,
}

/// Where to look and for what.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) service: String,
    pub(crate) api_url: String,
    pub(crate) token: Option<String>,
    pub(crate) otlp_endpoint: String,
    /// Microseconds since 1970: older traces prove nothing about this launch.
    pub(crate) since_us: u64,
    pub(crate) timeout: Duration,
    pub(crate) carried: Carried,
}

/// Why no trace has arrived and what to do, the nearest cause first.
pub(crate) fn diagnose(facts: &Facts, search: &Search) -> String {
    if let Some(trouble) = &facts.engine_trouble {
        return format!("No trace yet: {trouble}");
    }
    if !facts.otlp_listens {
        return format!(
            "No trace yet: nothing listens on {}, where the program sends its telemetry. Is the engine's OTLP port another \
             one, or off?",
            search.otlp_endpoint
        );
    }
    if let Some(reason) = &facts.disabled {
        return format!("No trace yet: the agent stood down: {reason}.{}", remedy(facts));
    }
    let answers = match &search.carried {
        Carried::EnvironmentOnly { why } => {
            return format!(
                "No trace yet: {why}. The program was given OpenTelemetry's environment, so an OpenTelemetry SDK in its \
                 code will send here."
            );
        }
        Carried::Agent { answers, .. } => answers,
    };
    if !facts.started {
        return "No trace yet: the agent was never started inside the program. That happens when Python is started with -E or \
                -I, when the program clears PYTHONPATH, or when the command starts no Python at all."
            .to_owned();
    }
    if let Some(reason) = &facts.export_failed {
        return format!(
            "No trace yet: the program made telemetry but could not send it to {}: {reason}",
            search.otlp_endpoint
        );
    }
    if facts.span_made {
        return format!(
            "No trace yet: the program has made spans, but {} does not know them under the service \"{}\". Does the OTLP \
             endpoint {} belong to another engine?",
            search.api_url, search.service, search.otlp_endpoint
        );
    }
    if answers.is_empty() {
        return "No trace yet: the agent knows none of the frameworks of this program; calls it makes over HTTP or to a \
                database would show."
            .to_owned();
    }
    format!("No trace yet: no request has reached the program. Open one of its pages: {} watched.", watched(answers))
}

fn watched(answers: &[&str]) -> String {
    match answers {
        [one] => format!("{one} is"),
        many => format!("{} are", many.join(", ")),
    }
}

fn remedy(facts: &Facts) -> &'static str {
    if facts.clash { " Change that package in the program's environment and start again." } else { "" }
}

/// Looks until the first trace is found, and says what happens on the way.
pub(crate) async fn watch(search: Search, mut status: Status, out: Sender<News>) {
    let client = match client(&search.api_url) {
        Ok(client) => client,
        Err(error) => {
            let _ = out.send(News::Line(Tone::Warning, format!("The first trace cannot be looked for: {error}"))).await;
            return;
        }
    };
    let begun = Instant::now();
    let mut facts = Facts::default();
    let mut said_engine = false;
    let mut said_reason: Option<String> = None;
    loop {
        for line in status.news().await.into_iter().filter_map(|said| learn(said, &mut facts)) {
            if out.send(line).await.is_err() {
                return;
            }
        }
        match first_trace(&client, &search).await {
            Ok(Some(trace)) => {
                let text = format!(
                    "First trace: {} {}/ui/traces/{}",
                    trace.name,
                    search.api_url.trim_end_matches('/'),
                    trace.id
                );
                let _ = out.send(News::Arrived(text)).await;
                return;
            }
            Ok(None) => facts.engine_trouble = None,
            Err(trouble) => facts.engine_trouble = Some(trouble),
        }
        if let Some(trouble) = &facts.engine_trouble
            && !said_engine
            && begun.elapsed() >= ENGINE_PATIENCE
        {
            said_engine = true;
            let _ = out.send(News::Line(Tone::Warning, trouble.clone())).await;
        }
        if begun.elapsed() >= search.timeout {
            facts.otlp_listens = listens(&search.otlp_endpoint).await;
            let reason = diagnose(&facts, &search);
            let engine_already = said_engine && facts.engine_trouble.is_some();
            if said_reason.as_ref() != Some(&reason) && !engine_already {
                if out.send(News::Line(Tone::Warning, reason.clone())).await.is_err() {
                    return;
                }
                said_reason = Some(reason);
            }
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Takes in one line of the agent's; what the person should hear of it at once.
fn learn(said: Said, facts: &mut Facts) -> Option<News> {
    match said {
        Said::Started { outside } => {
            let first = !facts.started;
            facts.started = true;
            let gaps: Vec<String> = outside.into_values().collect();
            (first && !gaps.is_empty()).then(|| News::Line(Tone::Warning, format!("Not traced: {}", gaps.join("; "))))
        }
        Said::Disabled { reason, clash } => {
            let first = facts.disabled.is_none();
            facts.clash = clash;
            facts.disabled = Some(reason.clone());
            let text = format!("The agent stood down: {reason}. The program runs without it.{}", remedy(facts));
            first.then_some(News::Line(Tone::Warning, text))
        }
        Said::Span => {
            facts.span_made = true;
            None
        }
        Said::ExportFailed { reason } => {
            facts.export_failed = Some(reason);
            None
        }
        Said::Reloader { name } => Some(News::Reloader(name)),
        Said::Crashed { .. } | Said::Other => None,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Trace {
    id: String,
    name: String,
}

/// Jaeger's query API, `GET /api/traces`: `{"data": [{"traceID", "spans": [{"operationName", "startTime", "references"}]}]}`,
/// times in µs; a root has no references.
#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    data: Vec<Found>,
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(rename = "traceID")]
    trace_id: String,
    #[serde(default)]
    spans: Vec<FoundSpan>,
}

#[derive(Debug, Deserialize)]
struct FoundSpan {
    #[serde(rename = "operationName", default)]
    name: String,
    #[serde(rename = "startTime", default)]
    start_us: u64,
    #[serde(default)]
    references: Vec<serde::de::IgnoredAny>,
}

fn client(api_url: &str) -> reqwest::Result<reqwest::Client> {
    let host = reqwest::Url::parse(api_url).ok().and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_default();
    let builder = reqwest::Client::builder().timeout(Duration::from_secs(5));
    // A company's proxy knows nothing of this machine's own ports.
    let here = matches!(host.as_str(), "localhost" | "127.0.0.1" | "[::1]");
    if here { builder.no_proxy().build() } else { builder.build() }
}

async fn first_trace(client: &reqwest::Client, search: &Search) -> Result<Option<Trace>, String> {
    let base = format!("{}/api/traces", search.api_url.trim_end_matches('/'));
    let query =
        [("service", search.service.clone()), ("limit", "1".to_owned()), ("start", search.since_us.to_string())];
    let url = reqwest::Url::parse_with_params(&base, &query)
        .map_err(|error| format!("\"{}\" is no URL of an engine: {error}.", search.api_url))?;
    let mut request = client.get(url);
    if let Some(token) = &search.token {
        request = request.bearer_auth(token);
    }
    let mut answer = request.send().await.map_err(|error| {
        let why = if error.is_connect() { "nothing listens there".to_owned() } else { error.without_url().to_string() };
        format!(
            "The engine does not answer at {} ({why}). Start it with `apm up`, or name it with --url; telemetry sent before \
             that is lost.",
            search.api_url
        )
    })?;
    let code = answer.status().as_u16();
    match code {
        // Some engines answer 404 for a service they have never seen.
        200 | 404 => {}
        401 | 403 => {
            return Err(format!(
                "The engine at {} asks for a token ({code}). Give one with APM_TOKEN.",
                search.api_url
            ));
        }
        503 => return Err(format!("The engine at {} is still starting (503).", search.api_url)),
        _ => return Err(format!("The engine at {} answers {code} when asked for traces.", search.api_url)),
    }
    let mut body = Vec::new();
    while let Ok(Some(chunk)) = answer.chunk().await {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(format!("The engine at {} answers with too much.", search.api_url));
        }
        body.extend_from_slice(&chunk);
    }
    if code == 404 {
        return Ok(None);
    }
    let strange = || format!("{} is no engine that serves traces: its answer was not understood.", search.api_url);
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| strange())?;
    Ok(answer.data.into_iter().find_map(|found| root_of(found, search.since_us)))
}

fn root_of(found: Found, since_us: u64) -> Option<Trace> {
    let root = found.spans.into_iter().min_by_key(|span| (!span.references.is_empty(), span.start_us))?;
    (root.start_us >= since_us).then_some(Trace { id: found.trace_id, name: root.name })
}

/// Whether something accepts connections at a URL's host and port.
async fn listens(url: &str) -> bool {
    let Ok(url) = reqwest::Url::parse(url) else { return false };
    let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else { return false };
    let host = host.trim_matches(['[', ']']).to_owned();
    let connect = tokio::net::TcpStream::connect((host, port));
    matches!(tokio::time::timeout(Duration::from_secs(2), connect).await, Ok(Ok(_)))
}

#[cfg(test)]
#[path = "proof_tests.rs"]
mod tests;
