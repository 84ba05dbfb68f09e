//! Asks a Prometheus and a Loki by their APIs, ours or the real ones, what the judge wants to know. An answer that cannot be had is a
//! failure with its reason, never an empty answer. Source of the forms: the HTTP API pages of both.

use std::collections::BTreeMap;
use std::time::Duration;

use base_http::{Client, HttpError, Limits};
use futures_util::StreamExt as _;
use operate_gate::{Answer, Evidence, Language, Line, Question, Series};
use serde_json::Value;

/// Of one question.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 64 << 20 };
/// Questions at once: the engine that is asked has other work too.
const AT_ONCE: usize = 4;

/// Where telemetry is asked.
pub struct Telemetry {
    client: Client,
    prometheus: String,
    loki: String,
}

impl Telemetry {
    /// Base URLs without the API's own path: `http://127.0.0.1:4300` for both with our engine.
    pub fn new(client: Client, prometheus: &str, loki: &str) -> Telemetry {
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        Telemetry { client, prometheus: base(prometheus), loki: base(loki) }
    }

    /// All the answers.
    pub async fn ask(&self, questions: Vec<Question>) -> Evidence {
        let asked = futures_util::stream::iter(questions).map(|question| async move {
            let answer = self.one(&question).await.unwrap_or_else(|reason| Answer::Failed { reason });
            tracing::debug!(id = question.id, expression = question.expression, ?answer, "asked");
            (question.id, answer)
        });
        asked.buffer_unordered(AT_ONCE).collect().await
    }

    async fn one(&self, question: &Question) -> Result<Answer, String> {
        let url = url(&self.prometheus, &self.loki, question);
        let answer = self.client.get(&url, &[], LIMITS).await.map_err(|error| told(&error))?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status != 200 {
            let said = body["error"].as_str().map(str::to_owned);
            let said = said.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).chars().take(300).collect());
            return Err(format!("{url} answers {}: {}", answer.status, said.trim()));
        }
        read(question, &body).ok_or_else(|| format!("{url} answers something else than {:?} data", question.language))
    }
}

fn told(error: &HttpError) -> String {
    error.to_string()
}

pub(crate) fn url(prometheus: &str, loki: &str, question: &Question) -> String {
    let mut words = form_urlencoded::Serializer::new(String::new());
    words.append_pair("query", &question.expression);
    // Seconds with three decimals for Prometheus; Loki takes nanoseconds.
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    match question.language {
        Language::Promql => {
            words.append_pair("start", &seconds(question.start_ms)).append_pair("end", &seconds(question.end_ms));
            words.append_pair("step", &seconds(question.step_ms.max(1)));
            format!("{prometheus}/api/v1/query_range?{}", words.finish())
        }
        Language::Logql => {
            let ns = |ms: i64| ms.saturating_mul(1_000_000).to_string();
            words.append_pair("start", &ns(question.start_ms)).append_pair("end", &ns(question.end_ms));
            words.append_pair("limit", &question.limit.to_string()).append_pair("direction", "backward");
            format!("{loki}/loki/api/v1/query_range?{}", words.finish())
        }
    }
}

/// `None` when it has not the form that was asked for.
pub(crate) fn read(question: &Question, body: &Value) -> Option<Answer> {
    let result = body["data"]["result"].as_array()?;
    match question.language {
        Language::Promql => result.iter().map(series).collect::<Option<Vec<_>>>().map(Answer::Series),
        Language::Logql => {
            let mut lines = Vec::new();
            for value in result.iter().flat_map(|stream| stream["values"].as_array().into_iter().flatten()) {
                let time_ns: i64 = value[0].as_str()?.parse().ok()?;
                lines.push(Line { time_ms: time_ns.div_euclid(1_000_000), text: value[1].as_str()?.to_owned() });
            }
            lines.sort_by_key(|line| line.time_ms);
            let truncated = lines.len() >= question.limit;
            Some(Answer::Lines { lines, truncated })
        }
    }
}

fn series(value: &Value) -> Option<Series> {
    let labels: BTreeMap<String, String> = serde_json::from_value(value["metric"].clone()).ok()?;
    let mut points = Vec::new();
    for point in value["values"].as_array()? {
        let time_ms = (point[0].as_f64()? * 1000.0).round();
        // Infinities are written as words that Rust reads too.
        points.push((time_ms as i64, point[1].as_str()?.parse().ok()?));
    }
    Some(Series { labels, points })
}
