//! `/api/v1/rules`, `/alerts` and `/alertmanagers` in the shape that Grafana's alerting page wants. How rules are evaluated it does not know.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use base_signal::{Labels, Matcher};
use observe_promql::syntax::quote;
use observe_rules::{ActiveAlert, GroupState, Health, OfRule, RuleState};
use observe_source::Annotations;
use serde_json::{Value, json};

use super::{Failure, begin, forms, success};
use crate::Api;
use crate::params::Params;

/// Which rules are wanted.
struct Wanted<'p> {
    kind: String,
    with_alerts: bool,
    matchers: Vec<Vec<Matcher>>,
    rules: Vec<&'p str>,
    groups: Vec<&'p str>,
    files: Vec<&'p str>,
}

pub(super) async fn rules(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (_, params) = begin(&api, &headers, request).await?;
    let wanted = Wanted::read(&params)?;
    let (limit, token) = page(&params)?;
    let mut groups = api.insides.rule_groups().into_iter().peekable();
    if let (Some(_), Some(token)) = (limit, token) {
        while groups.next_if(|group| token_of(group) != token).is_some() {}
        if groups.peek().is_none() {
            return refuse(
                "group_next_token",
                format!("invalid group_next_token '{token}'. were rule groups changed?"),
            );
        }
    }
    let (mut shown, mut next) = (Vec::new(), None);
    for group in groups.filter(|group| wanted.takes_group(group)) {
        let rules: Vec<Value> = group
            .rules
            .iter()
            .filter(|rule| wanted.takes(rule))
            .map(|rule| shown_rule(rule, wanted.with_alerts))
            .collect();
        if rules.is_empty() {
            continue;
        }
        if limit.is_some_and(|most| shown.len() == most) {
            next = Some(token_of(&group));
            break;
        }
        shown.push(json!({
            "name": group.name,
            "file": group.file,
            "rules": rules,
            "interval": seconds(group.interval_ms),
            "limit": group.limit,
            "evaluationTime": group.took_s,
            "lastEvaluation": time(group.evaluated_at_ms),
        }));
    }
    let mut data = json!({ "groups": shown });
    if let Some(next) = next {
        data["groupNextToken"] = next.into();
    }
    Ok(success(&data.to_string(), &Annotations::default()))
}

fn refuse<T>(name: &str, why: String) -> Result<T, Failure> {
    Err(Failure::bad_data(format!("invalid parameter \"{name}\": {why}")))
}

impl<'p> Wanted<'p> {
    fn read(params: &'p Params) -> Result<Self, Failure> {
        let matchers = forms::matchers(params).map_err(Failure::bad_data)?;
        let kind = params.get("type").unwrap_or_default().to_lowercase();
        if !matches!(kind.as_str(), "" | "alert" | "record") {
            return refuse("type", format!("not supported value {}", quote(&kind)));
        }
        let without = params.get("exclude_alerts").map(|text| forms::flag(&text.to_lowercase())).transpose();
        let with_alerts = match without {
            Ok(without) => !without.unwrap_or(false),
            Err(why) => return refuse("exclude_alerts", format!("error converting exclude_alerts: {why}")),
        };
        let all = |name| params.all(name).collect();
        let (rules, groups, files) = (all("rule_name[]"), all("rule_group[]"), all("file[]"));
        Ok(Wanted { kind, with_alerts, matchers, rules, groups, files })
    }

    fn takes_group(&self, group: &GroupState) -> bool {
        let named = |names: &[&str], name: &str| names.is_empty() || names.contains(&name);
        named(&self.groups, &group.name) && named(&self.files, &group.file)
    }

    fn takes(&self, rule: &RuleState) -> bool {
        let kind = if matches!(rule.of, OfRule::Recording) { "record" } else { "alert" };
        let labels = Labels::from_pairs(rule.labels.iter().map(|(name, value)| (&**name, &**value)));
        let fits = |set: &Vec<Matcher>| set.iter().all(|matcher| matcher.matches_labels(labels.as_ref()));
        (self.rules.is_empty() || self.rules.contains(&&*rule.name))
            && (self.kind.is_empty() || self.kind == kind)
            && (self.matchers.is_empty() || self.matchers.iter().any(fits))
    }
}

/// A name for a group in the way of a page; FNV-1a.
fn token_of(group: &GroupState) -> String {
    let bytes = group.file.bytes().chain([0xff]).chain(group.name.bytes());
    let hash = bytes
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    format!("{hash:016x}")
}

fn shown_rule(rule: &RuleState, with_alerts: bool) -> Value {
    let (health, error) = match &rule.health {
        Health::Unknown => ("unknown", None),
        Health::Good => ("ok", None),
        Health::Bad(why) => ("err", Some(why)),
    };
    let mut shown = json!({
        "name": rule.name,
        "query": rule.expr,
        "labels": rule.labels,
        "health": health,
        "evaluationTime": rule.took_s,
        "lastEvaluation": time(rule.evaluated_at_ms),
        "type": "recording",
    });
    if let Some(error) = error {
        shown["lastError"] = error.as_str().into();
    }
    if let OfRule::Alerting { state, for_ms, keep_firing_for_ms, annotations, alerts } = &rule.of {
        shown["type"] = "alerting".into();
        shown["state"] = state.as_str().into();
        shown["duration"] = seconds(*for_ms);
        shown["keepFiringFor"] = seconds(*keep_firing_for_ms);
        shown["annotations"] = json!(annotations);
        // Prometheus has nothing there, not an empty list, when they are left out.
        shown["alerts"] = if with_alerts { alerts.iter().map(shown_alert).collect() } else { Value::Null };
    }
    shown
}

fn shown_alert(alert: &ActiveAlert) -> Value {
    let labels: serde_json::Map<String, Value> =
        alert.labels.iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
    let mut shown = json!({
        "labels": labels,
        "annotations": alert.annotations,
        "state": alert.state.as_str(),
        "activeAt": time(Some(alert.active_at_ms)),
        "value": exponent(alert.value),
    });
    if let Some(since_ms) = alert.keep_firing_since_ms {
        shown["keepFiringSince"] = time(Some(since_ms)).into();
    }
    shown
}

/// Whole ones without a point, as Go writes them.
fn seconds(ms: i64) -> Value {
    if ms % 1000 == 0 { (ms / 1000).into() } else { (ms as f64 / 1000.0).into() }
}

/// Go's zero time stands for never.
fn time(ms: Option<i64>) -> String {
    let time = ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    time.map_or_else(|| "0001-01-01T00:00:00Z".to_owned(), |time| time.to_string())
}

/// Go's `strconv.FormatFloat(value, 'e', -1, 64)`: `1.5e+01`.
fn exponent(value: f64) -> String {
    if !value.is_finite() {
        return if value.is_nan() {
            "NaN"
        } else if value > 0.0 {
            "+Inf"
        } else {
            "-Inf"
        }
        .to_owned();
    }
    let written = format!("{value:e}");
    let Some((mantissa, exponent)) = written.split_once('e') else { return written };
    let (sign, digits) = exponent.strip_prefix('-').map_or(('+', exponent), |digits| ('-', digits));
    format!("{mantissa}e{sign}{digits:0>2}")
}

/// How many groups are wanted, and from which on.
fn page(params: &Params) -> Result<(Option<usize>, Option<&str>), Failure> {
    let token = params.get("group_next_token");
    let Some(text) = params.get("group_limit") else {
        return match token {
            Some(_) => refuse(
                "group_next_token",
                "group_limit needs to be present in order to paginate over the groups".into(),
            ),
            None => Ok((None, None)),
        };
    };
    match forms::whole(text).map_err(|why| why.replacen("Atoi", "ParseInt", 1)) {
        Err(why) => refuse("group_limit", format!("group_limit needs to be a valid number: {why}")),
        Ok(number) if number > i64::from(i32::MAX) => {
            let why = format!("strconv.ParseInt: parsing {}: value out of range", quote(text));
            refuse("group_limit", format!("group_limit needs to be a valid number: {why}"))
        }
        Ok(number) if number <= 0 => refuse("group_limit", "group_limit needs to be greater than 0".into()),
        Ok(number) => Ok((usize::try_from(number).ok(), token)),
    }
}

pub(super) async fn alerts(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    begin(&api, &headers, request).await?;
    let mut alerts = Vec::new();
    for rule in api.insides.rule_groups().into_iter().flat_map(|group| group.rules) {
        if let OfRule::Alerting { alerts: of_rule, .. } = &rule.of {
            alerts.extend(of_rule.iter().map(shown_alert));
        }
    }
    Ok(success(&json!({ "alerts": alerts }).to_string(), &Annotations::default()))
}

pub(super) async fn alertmanagers(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    begin(&api, &headers, request).await?;
    let active: Vec<Value> = api.insides.alertmanagers().into_iter().map(|url| json!({ "url": url })).collect();
    let data = json!({"activeAlertmanagers": active, "droppedAlertmanagers": []});
    Ok(success(&data.to_string(), &Annotations::default()))
}
