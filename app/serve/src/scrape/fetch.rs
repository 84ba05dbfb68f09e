//! The HTTP call of a scrape, by the one outgoing client.

use std::time::Duration;

use base_http::{Client, HttpConfig, HttpError, Limits};
use observe_ingest::scrape::{Fetch, FetchRequest, Fetched};

/// Larger texts are refused even where the configuration sets no limit.
const BODY_BYTES_MAX: usize = 256 << 20;

pub(crate) struct HttpFetch {
    client: Client,
    config: HttpConfig,
}

impl HttpFetch {
    pub(crate) fn new(config: HttpConfig) -> Result<Self, HttpError> {
        Ok(HttpFetch { client: Client::new(config.clone())?, config })
    }

    pub(crate) fn config(&self) -> &HttpConfig {
        &self.config
    }
}

impl Fetch for HttpFetch {
    async fn fetch(&self, request: &FetchRequest) -> Result<Fetched, String> {
        let timeout_ms = u64::try_from(request.timeout_ms).unwrap_or(1);
        let limit = usize::try_from(request.body_max_bytes).ok().filter(|bytes| *bytes > 0);
        let limits = Limits {
            timeout: Duration::from_millis(timeout_ms),
            body_bytes: limit.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX),
        };
        let seconds = (request.timeout_ms as f64 / 1000.0).to_string();
        let headers = [("accept", request.accept), ("x-prometheus-scrape-timeout-seconds", seconds.as_str())];
        let answer = self.client.get(&request.url, &headers, limits).await.map_err(|error| error.to_string())?;
        match answer.status {
            200 => Ok(Fetched { content_type: answer.content_type, body: answer.body.into() }),
            status => Err(format!("server returned HTTP status {status}")),
        }
    }
}
