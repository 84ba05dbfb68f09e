//! One way out at work: takes what its queue gives, sends it, and tells the queue how that went. What follows from it is the queue's to say.

use std::sync::Arc;
use std::time::Duration;

use base_http::{Answer, Client, Limits, Secret};
use base_signal::TenantId;
use bytes::Bytes;
use observe_forward::{Batch, Outcome, Step, Told, Way, of_status};
use observe_ingest::TENANT_HEADER;
use observe_wire::delivery::{DELIVERY_HEADER, Delivery, MARK_CONTENT_TYPE, Mark};
use tokio::sync::watch;

use super::lane::{Lane, Lanes};
use super::token::Token;

/// Also where nothing said that something came: what waits for nobody is synced now and then.
const LOOK: Duration = Duration::from_secs(1);
const LIMITS: Limits = Limits { timeout: Duration::from_secs(30), body_bytes: 64 << 10 };
/// Of what the other side says, as much as one reads.
const WHY_CHARS_MAX: usize = 300;

/// Where one way leads.
pub(crate) struct Destination {
    pub(crate) client: Client,
    pub(crate) url: String,
    pub(crate) token: Arc<Token>,
}

impl Destination {
    async fn send(&self, way: Way, batch: &Batch, delivery: Delivery) -> Outcome {
        let packed = way.pack(&batch.body, batch.encoding);
        let delivery = delivery.to_string();
        let mut headers = packed.headers.to_vec();
        headers.push((DELIVERY_HEADER, &delivery));
        if batch.tenant != TenantId::default() {
            headers.push((TENANT_HEADER, batch.tenant.as_str()));
        }
        let body = Bytes::from(packed.body);
        let post = async |shown: &Option<Secret>| {
            let mut headers = headers.clone();
            headers.extend(shown.as_ref().map(|shown| ("authorization", shown.expose())));
            self.client.post_with(&self.url, &headers, packed.content_type, body.clone(), LIMITS).await
        };
        let shown = self.token.shown();
        let sent = match post(&shown).await {
            // Only once: if the other is refused too, the queue waits.
            Ok(answer) if answer.status == 401 && self.token.is_another(shown.as_ref()) => {
                post(&self.token.shown()).await
            }
            sent => sent,
        };
        match sent {
            Ok(answer) => outcome(way, &answer),
            Err(error) => Outcome::Later { why: error.to_string(), after: None },
        }
    }
}

fn outcome(way: Way, answer: &Answer) -> Outcome {
    if answer.status == 409 && answer.content_type.starts_with(MARK_CONTENT_TYPE) {
        let mark = std::str::from_utf8(&answer.body).ok().and_then(Mark::parse);
        let why = || format!("status 409: its body is not what `{MARK_CONTENT_TYPE}` is");
        return mark.map_or_else(|| Outcome::Later { why: why(), after: None }, Outcome::Stored);
    }
    let said: String = String::from_utf8_lossy(&answer.body).trim().chars().take(WHY_CHARS_MAX).collect();
    match of_status(answer.status, format!("status {}: {said}", answer.status), answer.retry_after) {
        Outcome::Taken { .. } => {
            let (left_out, why) = way.left_out(&answer.content_type, &answer.body);
            Outcome::Taken { left_out, why }
        }
        other => other,
    }
}

/// Sends until `stop`, and then what is left as long as it is taken.
pub(crate) async fn run(lanes: Arc<Lanes>, way: Way, destination: Destination, mut stop: watch::Receiver<bool>) {
    let Some(lane) = lanes.iter().find(|lane| lane.way == way) else { return };
    loop {
        let queue = lane.queue.clone();
        // Cheap, and mostly so; only then is something read.
        let is_due = queue.lock().is_due();
        let next = match is_due {
            false => Ok(Ok(Step::Idle)),
            true => {
                let queue = queue.clone();
                tokio::task::spawn_blocking(move || queue.lock().step()).await
            }
        };
        match next {
            Ok(Ok(Step::Send(batch))) => {
                let delivery = queue.lock().delivery(&batch);
                let outcome = destination.send(way, &batch, delivery).await;
                let failed = matches!(outcome, Outcome::Later { .. });
                let told = queue.lock().done(outcome);
                tell(lane, &destination.url, told);
                if failed && *stop.borrow() {
                    return;
                }
            }
            Ok(Ok(Step::Wait(span))) if !*stop.borrow() => rest(&mut stop, span).await,
            Ok(Ok(Step::Idle)) if !*stop.borrow() => {
                tokio::select! {
                    () = lane.came.notified() => {}
                    () = rest(&mut stop, LOOK) => {}
                }
            }
            Ok(Ok(Step::Wait(_) | Step::Idle)) => return,
            Ok(Err(error)) => {
                tracing::error!(%error, "a part of the queue {} cannot be read; it is lost", way.as_str());
                rest(&mut stop, LOOK).await;
                if *stop.borrow() {
                    return;
                }
            }
            Err(error) => {
                tracing::error!(%error, "reading the queue {} failed", way.as_str());
                return;
            }
        }
    }
}

/// So long, or until it is to stop.
async fn rest(stop: &mut watch::Receiver<bool>, span: Duration) {
    // Both ends are the same to the caller, who looks again.
    let _ = tokio::time::timeout(span, stop.changed()).await;
}

fn tell(lane: &Lane, url: &str, told: Told) {
    let name = lane.way.as_str();
    match told {
        Told::Again { first: true, why } => {
            tracing::warn!("{name} is not taken by {url}; it is kept and tried again: {why}")
        }
        Told::SentAgain => tracing::info!("{name} is taken by {url} again"),
        Told::Dropped { items, why } => {
            tracing::warn!("{url} refused a request with {items} items of {name}; it is not sent again: {why}")
        }
        Told::Renamed => tracing::warn!(
            "{url} knows a later state of the queue of {name}; it was set back, and what is in it is sent under a new name"
        ),
        Told::LeftOut { items, why } => tracing::warn!("{url} left out {items} items of {name}: {why}"),
        Told::Sent | Told::OneByOne | Told::Again { .. } => {}
    }
}
