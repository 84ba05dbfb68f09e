//! A receiver of notices over HTTP: each is POSTed as JSON, with a signature by which the receiver knows that it is ours. Its address may hold a
//! secret and is shown nowhere, the secret itself neither. It makes one try; when to try again is the caller's to say.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use base_http::{Client, HttpConfig, HttpError, Limits, Secret};
use operate_execute::{Deliver, Delivery, Notice, Occasion};

/// Of one try.
const LIMITS: Limits = Limits { timeout: Duration::from_secs(10), body_bytes: 64 << 10 };

/// One receiver.
pub struct Webhook {
    client: Client,
    url: Secret,
    key: Option<hmac::Key>,
    events: BTreeSet<Occasion>,
    id: String,
}

impl Webhook {
    /// No `events` are all of them. With a `secret` each request carries `X-Apm-Signature: sha256=` and the HMAC-SHA256 of its body in
    /// hexadecimal (RFC 2104), as GitHub's receivers know it.
    pub fn new(url: Secret, secret: Option<&[u8]>, events: &[Occasion]) -> Result<Webhook, HttpError> {
        // What is signed for one place is not carried on to another.
        let client = Client::new(HttpConfig { follow_redirects: false, ..HttpConfig::default() })?;
        let events = if events.is_empty() { Occasion::ALL.to_vec() } else { events.to_vec() };
        let id = operate_plan::Digest::of_bytes(url.expose().as_bytes()).short().to_owned();
        let key = secret.map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret));
        Ok(Webhook { client, url, key, events: events.into_iter().collect(), id })
    }

    pub(crate) fn signature(&self, body: &[u8]) -> Option<String> {
        use std::fmt::Write as _;
        let tag = hmac::sign(self.key.as_ref()?, body);
        Some(tag.as_ref().iter().fold("sha256=".to_owned(), |mut text, byte| {
            // Writing to a string does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }
}

#[async_trait]
impl Deliver for Webhook {
    fn id(&self) -> &str {
        &self.id
    }

    fn wants(&self, event: Occasion) -> bool {
        self.events.contains(&event)
    }

    async fn deliver(&self, notice: &Notice) -> Delivery {
        let Ok(body) = serde_json::to_vec(notice) else { return Delivery::Refused("it cannot be written".to_owned()) };
        let signature = self.signature(&body);
        let mut headers = vec![("x-apm-delivery", notice.id.as_str())];
        headers.extend(signature.as_deref().map(|signature| ("x-apm-signature", signature)));
        let sent = self.client.post_with(self.url.expose(), &headers, "application/json", body, LIMITS).await;
        match sent {
            Ok(answer) => match answer.status {
                200..=299 => Delivery::Done,
                status @ (408 | 425 | 429 | 500..=599) => Delivery::Later(format!("it answers {status}")),
                status => Delivery::Refused(format!("it answers {status}")),
            },
            // The words of an error may name the address.
            Err(HttpError::Timeout { .. }) => Delivery::Later("it does not answer in time".to_owned()),
            Err(HttpError::Connect { .. }) => Delivery::Later("it cannot be reached".to_owned()),
            // It was taken, and more was answered than anybody reads.
            Err(HttpError::TooLarge { .. }) => Delivery::Done,
            Err(_) => Delivery::Later("its answer broke off".to_owned()),
        }
    }
}
