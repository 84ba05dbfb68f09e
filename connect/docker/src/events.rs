//! What happens on the engine, as it happens. The stream outlives a broken connection and a restart of the engine: it is opened again from the moment
//! of the last event, and an event already given is not given twice.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::stream;
use serde_json::{Value, json};

use crate::call::Call;
use crate::json_lines::JsonLines;
use crate::view::labels;
use crate::{Engine, Object, Result, Stream};

/// Between attempts to open the stream again, the first and the longest.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts in a row before the stream gives up: about a minute.
const ATTEMPTS_MAX: u32 = 16;

/// Which events; empty means all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// container, image, network, volume
    pub kinds: Vec<String>,
    /// start, die, health_status, oom, destroy …
    pub actions: Vec<String>,
    /// All of them; an empty value means any.
    pub labels: BTreeMap<String, String>,
    /// Names or ids.
    pub containers: Vec<String>,
    /// Nanoseconds since 1970: what happened since then comes first. The engine keeps the last 256 only.
    pub since_ns: Option<u64>,
}

impl EventFilter {
    fn words(&self) -> String {
        let labels: Vec<String> = self
            .labels
            .iter()
            .map(|(key, value)| if value.is_empty() { key.clone() } else { format!("{key}={value}") })
            .collect();
        let mut words = serde_json::Map::new();
        for (key, values) in
            [("type", &self.kinds), ("event", &self.actions), ("label", &labels), ("container", &self.containers)]
        {
            if !values.is_empty() {
                words.insert(key.into(), json!(values));
            }
        }
        Value::Object(words).to_string()
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// Nanoseconds since 1970, by the engine's clock.
    pub at_ns: u64,
    /// container, image, network, volume
    pub kind: String,
    /// `start`, `die`, `health_status: healthy`, `exec_create: …`
    pub action: String,
    /// Of the object.
    pub id: String,
    /// The object's labels, and `name`, `image`, `exitCode` … beside them.
    pub attributes: BTreeMap<String, String>,
}

impl Event {
    fn from_message(message: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            at_ns: message["timeNano"].as_u64().unwrap_or(0),
            kind: text(&message["Type"]),
            action: text(&message["Action"]),
            id: text(&message["Actor"]["ID"]),
            attributes: labels(&message["Actor"]["Attributes"]),
        }
    }
}

struct Watch {
    engine: Engine,
    filter: EventFilter,
    lines: Option<JsonLines>,
    /// Events at the newest moment seen: those a new stream would bring again.
    newest: Vec<Event>,
    attempts: u32,
}

impl Engine {
    /// Events that match, without end. The first connection must succeed; later the stream ends with an error only after a minute without the engine.
    pub async fn events(&self, filter: EventFilter) -> Result<Stream<Event>> {
        let mut watch = Watch { engine: self.clone(), filter, lines: None, newest: Vec::new(), attempts: 0 };
        watch.lines = Some(watch.open().await?);
        Ok(Box::pin(stream::try_unfold(watch, |mut watch| async move {
            let event = watch.next().await?;
            Ok(Some((event, watch)))
        })))
    }
}

impl Watch {
    async fn open(&self) -> Result<JsonLines> {
        let call = Call::get("/events".into(), "events of", Object::new("engine", ""));
        let mut call = call.query("filters", self.filter.words());
        let since = self.newest.first().map(|event| event.at_ns).or(self.filter.since_ns);
        if let Some(since) = since {
            call = call.query("since", format!("{}.{:09}", since / 1_000_000_000, since % 1_000_000_000));
        }
        Ok(JsonLines::new(self.engine.open(call).await?.body))
    }

    async fn next(&mut self) -> Result<Event> {
        loop {
            let broken = match &mut self.lines {
                Some(lines) => match lines.next().await {
                    Ok(Some(message)) => {
                        self.attempts = 0;
                        let event = Event::from_message(&message);
                        if self.newest.contains(&event) {
                            continue;
                        }
                        if self.newest.first().is_none_or(|newest| newest.at_ns < event.at_ns) {
                            self.newest.clear();
                        }
                        self.newest.push(event.clone());
                        return Ok(event);
                    }
                    Ok(None) => None,
                    Err(error) if error.is_transient() => Some(error),
                    Err(error) => return Err(error),
                },
                None => None,
            };
            self.again(broken).await?;
        }
    }

    /// Opens the stream again, later each time; at the end of all attempts with what was wrong.
    async fn again(&mut self, mut wrong: Option<crate::DockerError>) -> Result<()> {
        loop {
            self.attempts += 1;
            if let (Some(error), true) = (wrong.take(), self.attempts > ATTEMPTS_MAX) {
                return Err(error);
            }
            let pause = PAUSE_MIN.saturating_mul(1 << (self.attempts - 1).min(10)).min(PAUSE_MAX);
            tokio::time::sleep(pause).await;
            match self.open().await {
                Ok(lines) => {
                    self.lines = Some(lines);
                    return Ok(());
                }
                Err(error) if error.is_transient() => wrong = Some(error),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Event, EventFilter};

    #[test]
    fn filters_in_docker_s_form() {
        let filter = EventFilter {
            kinds: vec!["container".into()],
            labels: [("team".to_owned(), "shop".to_owned()), ("any".to_owned(), String::new())].into(),
            ..Default::default()
        };
        assert_eq!(filter.words(), r#"{"label":["any","team=shop"],"type":["container"]}"#);
        assert_eq!(EventFilter::default().words(), "{}");
    }

    #[test]
    fn a_recorded_message() {
        let event = Event::from_message(&json!({
            "status": "die", "id": "12", "from": "bb", "Type": "container", "Action": "die",
            "Actor": {"ID": "12", "Attributes": {"exitCode": "137", "name": "web"}}, "scope": "local", "time": 1700000000, "timeNano": 1700000000000000005_u64
        }));
        assert_eq!(
            (event.at_ns, event.kind.as_str(), event.action.as_str()),
            (1_700_000_000_000_000_005, "container", "die")
        );
        assert_eq!(event.attributes["exitCode"], "137");
    }
}
