//! `/api/v1/rules`, `/alerts` and `/alertmanagers` in the shape that Grafana's alerting page wants. No rule is evaluated by this engine yet, so
//! there are no groups, no alerts and nobody they are sent to, and that is what is said.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::response::Response;
use observe_promql::syntax::quote;
use observe_source::Annotations;

use super::{Failure, begin, forms, success};
use crate::Api;
use crate::params::Params;

pub(super) async fn rules(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    let (_, params) = begin(&api, &headers, request).await?;
    forms::matchers(&params).map_err(Failure::bad_data)?;
    let refuse = |name: &str, why: String| Err(Failure::bad_data(format!("invalid parameter \"{name}\": {why}")));
    let kind = params.get("type").unwrap_or_default().to_lowercase();
    if !matches!(kind.as_str(), "" | "alert" | "record") {
        return refuse("type", format!("not supported value {}", quote(&kind)));
    }
    if let Some(text) = params.get("exclude_alerts")
        && let Err(why) = forms::flag(&text.to_lowercase())
    {
        return refuse("exclude_alerts", format!("error converting exclude_alerts: {why}"));
    }
    let (limit, token) = page(&params)?;
    if let (Some(_), Some(token)) = (limit, token) {
        // A token names the group to go on with, and there is none.
        return refuse("group_next_token", format!("invalid group_next_token '{token}'. were rule groups changed?"));
    }
    Ok(success("{\"groups\":[]}", &Annotations::default()))
}

/// How many groups are wanted, and from which on.
fn page(params: &Params) -> Result<(Option<i64>, Option<&str>), Failure> {
    let refuse = |name: &str, why: String| Err(Failure::bad_data(format!("invalid parameter \"{name}\": {why}")));
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
        Ok(number) => Ok((Some(number), token)),
    }
}

pub(super) async fn alerts(State(api): State<Api>, headers: HeaderMap, request: Request) -> Result<Response, Failure> {
    begin(&api, &headers, request).await?;
    Ok(success("{\"alerts\":[]}", &Annotations::default()))
}

pub(super) async fn alertmanagers(
    State(api): State<Api>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Failure> {
    begin(&api, &headers, request).await?;
    Ok(success("{\"activeAlertmanagers\":[],\"droppedAlertmanagers\":[]}", &Annotations::default()))
}
