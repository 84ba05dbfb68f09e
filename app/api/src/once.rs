//! Requests that say which part of a sender's queue they are: each is stored once, also when its sender goes away before the answer and sends it again.
//!
//! Such a request is carried out to its end whoever still waits, one at a time for each queue, so that a second try finds what became of the first.
//! It does not know what is stored, nor how far is kept over a restart: that is the sink's.

use std::collections::HashMap;
use std::future::Future;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base_signal::TenantId;
use observe_ingest::delivered::{Delivered, Known};
use observe_wire::delivery::{DELIVERY_HEADER, Delivery, MARK_CONTENT_TYPE, Mark, QueueId};
use parking_lot::Mutex;

/// What was stored of whose queue.
#[derive(Clone, Default)]
pub struct Deliveries {
    delivered: Arc<Mutex<Delivered>>,
    /// Of queues that have a request on its way.
    doors: Arc<Mutex<HashMap<QueueId, Door>>>,
}

type Door = Arc<tokio::sync::Mutex<()>>;

/// What became of a request.
pub(crate) enum Once<T> {
    Done(T),
    /// It is stored since an earlier try.
    Again,
    /// Nothing was done: the sender must say what this means.
    Partly(Mark),
}

impl Deliveries {
    /// Goes on from what was known before; the sink may share it.
    pub fn new(delivered: Arc<Mutex<Delivered>>) -> Self {
        Deliveries { delivered, doors: Arc::default() }
    }

    fn door(&self, queue: QueueId) -> Door {
        let mut doors = self.doors.lock();
        doors.retain(|_, door| Arc::strong_count(door) > 1);
        doors.entry(queue).or_default().clone()
    }

    /// Carries `take` out, unless it was before. A request without the header is taken as it comes. What `whole` denies will be sent again in another
    /// form, so it is not remembered.
    pub(crate) async fn once<T, E, F>(
        &self,
        tenant: &TenantId,
        headers: &HeaderMap,
        take: impl FnOnce(Option<Delivery>) -> F,
        whole: fn(&T) -> bool,
    ) -> Result<Once<T>, E>
    where
        F: Future<Output = Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: Send + 'static,
    {
        let header = headers.get(DELIVERY_HEADER).and_then(|value| value.to_str().ok());
        let Some(delivery) = header.and_then(Delivery::parse) else { return take(None).await.map(Once::Done) };
        let (taking, door, delivered) = (take(Some(delivery)), self.door(delivery.queue), self.delivered.clone());
        let tenant = tenant.clone();
        let carried_out = tokio::spawn(async move {
            let _one = door.lock().await;
            let known = delivered.lock().judge(&tenant, &delivery);
            match known {
                Known::Again => return Ok(Once::Again),
                Known::Partly(mark) => return Ok(Once::Partly(mark)),
                Known::New => {}
            }
            let taken = taking.await?;
            if whole(&taken) {
                delivered.lock().settle(&tenant, &delivery);
            }
            Ok(Once::Done(taken))
        });
        match carried_out.await {
            Ok(done) => done,
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            // Everything ends: nobody will hear an answer.
            Err(_) => std::future::pending().await,
        }
    }
}

/// The answer to a request of which some may be stored.
pub(crate) fn partly(mark: Mark) -> Response {
    (StatusCode::CONFLICT, [(header::CONTENT_TYPE, MARK_CONTENT_TYPE)], mark.to_string()).into_response()
}
