//! Asks a Prometheus, a Loki, a Jaeger and an Alertmanager by their APIs, ours or the real ones, what the judge wants to know. An answer that cannot be had
//! is a failure with its reason, never an empty answer. Source of the forms: the HTTP API pages of the four.

use std::collections::BTreeMap;
use std::time::Duration;

use base_http::{Authorization, Client, HttpConfig, HttpError, Limits};
use futures_util::StreamExt as _;
use operate_gate::{Answer, Evidence, Language, Line, Question, Series};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Of one question.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 64 << 20 };
/// Questions at once: the engine that is asked has other work too.
const AT_ONCE: usize = 4;

/// Where telemetry is asked: base URLs without the API's own path.
#[derive(Clone, Default)]
pub struct Places {
    /// Ours, `http://127.0.0.1:4300`: asked where nobody else is named.
    pub engine: String,
    /// A bearer for the engine, and for nobody else.
    pub token: Option<String>,
    pub prometheus: Option<String>,
    pub loki: Option<String>,
    pub jaeger: Option<String>,
    pub alertmanager: Option<String>,
}

/// Whom to ask in the place of the usual ones: of one of several clusters. Base URLs; they stand in plans, so they hold no password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Elsewhere {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loki: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jaeger: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alertmanager: Option<String>,
}

impl Elsewhere {
    /// Whether it names nobody.
    pub fn is_nowhere(&self) -> bool {
        *self == Elsewhere::default()
    }

    /// All that it names.
    pub fn urls(&self) -> impl Iterator<Item = &str> {
        [&self.prometheus, &self.loki, &self.jaeger, &self.alertmanager].into_iter().filter_map(Option::as_deref)
    }
}

/// See the module. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    /// For whoever is none of ours.
    stranger: Client,
    prometheus: Place,
    loki: Place,
    jaeger: Place,
    alertmanager: Option<Place>,
}

#[derive(Clone)]
struct Place {
    client: Client,
    base: String,
}

impl Place {
    /// A password in the URL is sent and not shown.
    fn hide(&self, text: &str) -> String {
        match credentials(&self.base) {
            Some(who) => text.replace(&format!("{who}@"), ""),
            None => text.to_owned(),
        }
    }
}

/// `user:password` of a URL.
fn credentials(url: &str) -> Option<&str> {
    let after = url.split_once("://").map_or("", |(_, rest)| rest);
    let authority = after.split(['/', '?']).next().unwrap_or_default();
    authority.rsplit_once('@').map(|(who, _)| who).filter(|who| !who.is_empty())
}

/// An address as it may be shown.
pub fn without_password(url: &str) -> String {
    match credentials(url) {
        Some(who) => url.replacen(&format!("{who}@"), "", 1),
        None => url.to_owned(),
    }
}

impl Telemetry {
    pub fn new(places: &Places) -> Result<Telemetry, HttpError> {
        let stranger = Client::new(HttpConfig::default())?;
        let authorization = places.token.as_deref().map(Authorization::bearer);
        let ours = Client::new(HttpConfig { authorization, ..HttpConfig::default() })?;
        let base = |url: &str| url.trim_end_matches('/').to_owned();
        let engine = base(&places.engine);
        let place = |url: &str| {
            let base = base(url);
            Place { client: if base == engine { ours.clone() } else { stranger.clone() }, base }
        };
        let or_ours = |url: &Option<String>| place(url.as_deref().unwrap_or(&engine));
        Ok(Telemetry {
            stranger: stranger.clone(),
            prometheus: or_ours(&places.prometheus),
            loki: or_ours(&places.loki),
            jaeger: or_ours(&places.jaeger),
            alertmanager: places.alertmanager.as_deref().map(place),
        })
    }

    /// The same with others in the place of some; who is asked already is asked as before.
    pub fn elsewhere(&self, at: &Elsewhere) -> Telemetry {
        let known = [&self.prometheus, &self.loki, &self.jaeger];
        let place = |url: &String| {
            let base = url.trim_end_matches('/').to_owned();
            let known = known.into_iter().find(|place| place.base == base).cloned();
            known.unwrap_or_else(|| Place { client: self.stranger.clone(), base })
        };
        let or = |url: &Option<String>, usual: &Place| url.as_ref().map_or_else(|| usual.clone(), place);
        Telemetry {
            stranger: self.stranger.clone(),
            prometheus: or(&at.prometheus, &self.prometheus),
            loki: or(&at.loki, &self.loki),
            jaeger: or(&at.jaeger, &self.jaeger),
            alertmanager: at.alertmanager.as_ref().map(place).or_else(|| self.alertmanager.clone()),
        }
    }

    /// Whether there is an Alertmanager to ask.
    pub(crate) fn has_alertmanager(&self) -> bool {
        self.alertmanager.is_some()
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
        let place = match question.language {
            Language::Promql => Some(&self.prometheus),
            Language::Logql => Some(&self.loki),
            Language::Jaeger => Some(&self.jaeger),
            Language::Alertmanager => self.alertmanager.as_ref(),
        };
        let place = place.ok_or("nobody says where the Alertmanager is")?;
        let url = url(&place.base, question);
        let shown = place.hide(&url);
        let answer = place.client.get(&url, &[], LIMITS).await.map_err(|error| place.hide(&error.to_string()))?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if answer.status != 200 {
            let said = body["error"].as_str().map(str::to_owned);
            let said = said.unwrap_or_else(|| String::from_utf8_lossy(&answer.body).chars().take(300).collect());
            return Err(format!("{shown} answers {}: {}", answer.status, said.trim()));
        }
        read(question, &body).ok_or_else(|| format!("{shown} answers something else than {:?} data", question.language))
    }
}

pub(crate) fn url(base: &str, question: &Question) -> String {
    let mut words = form_urlencoded::Serializer::new(String::new());
    // Seconds with three decimals for Prometheus; Loki takes nanoseconds.
    let seconds = |ms: i64| format!("{}.{:03}", ms.div_euclid(1000), ms.rem_euclid(1000));
    let path = match question.language {
        Language::Promql => {
            words.append_pair("query", &question.expression);
            words.append_pair("start", &seconds(question.start_ms)).append_pair("end", &seconds(question.end_ms));
            words.append_pair("step", &seconds(question.step_ms.max(1)));
            "/api/v1/query_range"
        }
        Language::Logql => {
            words.append_pair("query", &question.expression);
            let ns = |ms: i64| ms.saturating_mul(1_000_000).to_string();
            words.append_pair("start", &ns(question.start_ms)).append_pair("end", &ns(question.end_ms));
            words.append_pair("limit", &question.limit.to_string()).append_pair("direction", "backward");
            "/loki/api/v1/query_range"
        }
        Language::Jaeger => {
            let mut tags = tags(question);
            words.append_pair("service", &tags.remove(SERVICE).unwrap_or_default());
            words.append_pair("tags", &serde_json::to_string(&tags).unwrap_or_default());
            let us = |ms: i64| ms.saturating_mul(1_000).to_string();
            words.append_pair("start", &us(question.start_ms)).append_pair("end", &us(question.end_ms));
            words.append_pair("limit", &question.limit.to_string());
            "/api/traces"
        }
        Language::Alertmanager => {
            words.append_pair("active", "true").append_pair("silenced", "false").append_pair("inhibited", "false");
            words.append_pair("filter", &question.expression);
            "/api/v2/alerts"
        }
    };
    format!("{base}{path}?{}", words.finish())
}

/// The one word of a search for traces that is no tag.
const SERVICE: &str = "service";

fn tags(question: &Question) -> BTreeMap<String, String> {
    serde_json::from_str(&question.expression).unwrap_or_default()
}

/// `None` when it has not the form that was asked for.
pub(crate) fn read(question: &Question, body: &Value) -> Option<Answer> {
    let result = || body["data"]["result"].as_array();
    match question.language {
        Language::Promql => result()?.iter().map(series).collect::<Option<Vec<_>>>().map(Answer::Series),
        Language::Logql => {
            let mut lines = Vec::new();
            for value in result()?.iter().flat_map(|stream| stream["values"].as_array().into_iter().flatten()) {
                let time_ns: i64 = value[0].as_str()?.parse().ok()?;
                lines.push(Line { time_ms: time_ns.div_euclid(1_000_000), text: value[1].as_str()?.to_owned() });
            }
            lines.sort_by_key(|line| line.time_ms);
            let truncated = lines.len() >= question.limit;
            Some(Answer::Lines { lines, truncated })
        }
        Language::Jaeger => {
            let mut wanted = tags(question);
            wanted.remove(SERVICE);
            body["data"]
                .as_array()?
                .iter()
                .map(|trace| spans(trace, &wanted))
                .collect::<Option<Vec<_>>>()
                .map(Answer::Series)
        }
        Language::Alertmanager => {
            let alert = |alert: &Value| {
                let labels = serde_json::from_value(alert["labels"].clone()).ok()?;
                let firing = if alert["status"]["state"].as_str()? == "active" { 1.0 } else { 0.0 };
                Some(Series { labels, points: vec![(question.end_ms, firing)] })
            };
            body.as_array()?.iter().map(alert).collect::<Option<Vec<_>>>().map(Answer::Series)
        }
    }
}

/// The spans of a trace that have the tags; it came whole, with those of other services.
fn spans(trace: &Value, wanted: &BTreeMap<String, String>) -> Option<Series> {
    let mut series = Series::default();
    for span in trace["spans"].as_array()? {
        let process = &trace["processes"][span["processID"].as_str()?]["tags"];
        let all = || [&span["tags"], process].into_iter().flat_map(|tags| tags.as_array().into_iter().flatten());
        if wanted.iter().all(|(key, value)| all().any(|tag| tag["key"] == **key && tag["value"] == **value)) {
            series.points.push((span["startTime"].as_i64()?.div_euclid(1_000), 1.0));
            let operation = span["operationName"].as_str().unwrap_or_default();
            series.labels.entry("operation".to_owned()).or_insert_with(|| operation.to_owned());
        }
    }
    series.points.sort_by_key(|(at_ms, _)| *at_ms);
    Some(series)
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
