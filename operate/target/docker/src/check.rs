//! Whether a condition holds. What can never come to hold (a container that ended, one that starts over and over) is a failure with its
//! last words, so that nobody waits for it. It changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use base_http::Limits;
use connect_docker::{ContainerView, Health, LogOptions, State};
use futures_util::StreamExt as _;
use operate_execute::Met;
use operate_plan::{Class, Condition, Failure, ObjectId};
use serde_json::Value;

use crate::DockerTarget;
use crate::failure::foreign;
use crate::image::{inspect, is_running, summary};

/// A container without a health check counts as up when it still runs after this time.
const SETTLE: Duration = Duration::from_secs(1);
/// Of one question to a service.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// Last lines of a container that ended.
const LAST_LINES: u64 = 5;

pub(crate) async fn check(target: &DockerTarget, condition: &Condition) -> Result<Met, Failure> {
    let object = &condition.object;
    let seen = summary(&target.engine, object).await?;
    match (condition.verb.as_str(), object.kind.as_str()) {
        ("present", _) => Ok(met(seen.is_some(), || "it is not there".into())),
        ("absent", _) => Ok(met(seen.is_none(), || "it is there".into())),
        ("same", "container") => {
            let id = seen.as_ref().map_or(&Value::Null, |value| &value["id"]);
            Ok(met(*id == condition.with["id"], || "it is another one".into()))
        }
        ("stopped", "container") => {
            let runs = seen.is_some_and(|value| value["running"] == Value::Bool(true));
            Ok(met(!runs, || "it still runs".into()))
        }
        ("healthy", "container") => healthy(target, object).await,
        ("answers", "container") => answers(target, object, &condition.with).await,
        (verb, _) => Err(foreign(verb, object)),
    }
}

fn met(holds: bool, otherwise: impl FnOnce() -> String) -> Met {
    if holds { Met::Yes } else { Met::No(otherwise()) }
}

async fn view(target: &DockerTarget, object: &ObjectId) -> Result<Option<ContainerView>, Failure> {
    Ok(inspect(&target.engine, &object.name).await?.map(|record| ContainerView::from_inspect(&record)))
}

async fn healthy(target: &DockerTarget, object: &ObjectId) -> Result<Met, Failure> {
    let Some(first) = view(target, object).await? else { return Ok(Met::No("it is not there".into())) };
    if let Some(gone) = ended(target, object, &first).await {
        return Err(gone);
    }
    match first.health {
        Health::Healthy => return Ok(Met::Yes),
        Health::Starting => return Ok(Met::No("its health check has not passed yet".into())),
        // Docker calls it unhealthy after several tries; it may recover within the step's time.
        Health::Unhealthy => {
            let said = masked(first.health_output.trim(), &first.env);
            return Ok(Met::No(format!("its health check says: {said}")));
        }
        Health::None => {}
    }
    tokio::time::sleep(SETTLE).await;
    let Some(second) = view(target, object).await? else { return Ok(Met::No("it is gone".into())) };
    if let Some(gone) = ended(target, object, &second).await {
        return Err(gone);
    }
    let steady = second.state == State::Running && second.started_at == first.started_at;
    Ok(met(steady, || "it has just been started again".into()))
}

/// A container that ended or starts over and over will not get well by waiting.
async fn ended(target: &DockerTarget, object: &ObjectId, view: &ContainerView) -> Option<Failure> {
    let again = view.restarts > 0;
    if is_running(view) && !again || view.state == State::Created {
        return None;
    }
    let how = match (again, view.killed_for_memory) {
        (_, true) => "was killed for the memory it took".to_owned(),
        // While it runs again, the engine says 0 and means nothing by it.
        (true, _) if is_running(view) => match view.restarts {
            1 => "ends, and was started again once by now".to_owned(),
            many => format!("ends, and was started again {many} times by now"),
        },
        (true, _) => format!("ended with code {}, and again after {} restarts", view.exit_code, view.restarts),
        _ => format!("ended with code {}", view.exit_code),
    };
    let mut message = format!("{} {how}", object.name);
    let last = last_lines(target, view).await;
    if !last.is_empty() {
        message.push_str(&format!("; its last words: {last}"));
    }
    Some(Failure::new(Class::Invalid, "docker.ended", message, "run the image by hand and read what it says"))
}

/// The end of its log in one line, without the values of its variables.
async fn last_lines(target: &DockerTarget, view: &ContainerView) -> String {
    let options = LogOptions { tail: Some(LAST_LINES), ..LogOptions::default() };
    let Ok(mut lines) = target.engine.logs(&view.id, &options).await else { return String::new() };
    let mut told = Vec::new();
    while let Some(Ok(line)) = lines.next().await {
        told.push(masked(String::from_utf8_lossy(&line.text).trim(), &view.env));
        if told.len() as u64 >= LAST_LINES {
            break;
        }
    }
    told.join(" | ")
}

/// Values long enough to be a secret are taken out.
pub(crate) fn masked(line: &str, env: &[String]) -> String {
    masked_from(line, env, 6)
}

/// Values of at least so many characters are taken out.
pub(crate) fn masked_from(line: &str, env: &[String], chars_min: usize) -> String {
    let values: BTreeMap<_, _> = env
        .iter()
        .filter_map(|variable| variable.split_once('='))
        .filter(|(_, value)| value.len() >= chars_min)
        .map(|(name, value)| (std::cmp::Reverse(value.len()), (name, value)))
        .collect();
    let mut line: String = line.chars().take(300).collect();
    // The longest first: one value may hold another.
    for (name, value) in values.values() {
        line = line.replace(value, &format!("${name}"));
    }
    line
}

async fn answers(target: &DockerTarget, object: &ObjectId, with: &Value) -> Result<Met, Failure> {
    let Some(view) = view(target, object).await? else { return Ok(Met::No("it is not there".into())) };
    if let Some(gone) = ended(target, object, &view).await {
        return Err(gone);
    }
    let Some(port) = with["port"].as_u64().and_then(|port| u16::try_from(port).ok()) else {
        return Err(foreign("answer on no port", object));
    };
    let address = reachable(&view, port);
    let Some(path) = with["path"].as_str() else {
        let connected = tokio::time::timeout(ANSWER_MAX, tokio::net::TcpStream::connect(&address)).await;
        return Ok(met(matches!(connected, Ok(Ok(_))), || format!("nothing listens at {address}")));
    };
    let url = format!("http://{address}{path}");
    let limits = Limits { timeout: ANSWER_MAX, body_bytes: 1 << 20 };
    Ok(match target.http.get(&url, &[], limits).await {
        Ok(answer) => met((200..400).contains(&answer.status), || format!("{url} answers {}", answer.status)),
        Err(error) => Met::No(error.to_string()),
    })
}

/// Where the machine reaches a port of the container: where it is published, else at the container's own address.
pub(crate) fn reachable(view: &ContainerView, port: u16) -> String {
    if let Some(published) = view.ports.iter().find(|published| published.container == port) {
        let address = match published.address.as_str() {
            "" | "0.0.0.0" | "::" => "127.0.0.1",
            address => address,
        };
        return format!("{address}:{}", published.port);
    }
    let own = view.networks.values().find(|address| !address.is_empty());
    format!("{}:{port}", own.map_or("127.0.0.1", String::as_str))
}
