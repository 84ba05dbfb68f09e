//! Carries out the checks of `apm.yaml` that are no expression: an HTTP request, or a command of this machine. Each has a limit of time and of what
//! is read. What a failed check means for a release is not known here.

mod command;

use std::time::Duration;

use base_http::{Client, HttpConfig, HttpError, Limits};
use operate_gate::{Answer, Evidence, Subject, UserCheck};

/// Of one check: longer, and what is broken would be noticed too late.
const TIME_MAX: Duration = Duration::from_secs(10);
const BODY_BYTES_MAX: usize = 8 << 20;
/// One request that fails may be chance; so many in a row are none.
const TRIES: u32 = 3;
const BETWEEN: Duration = Duration::from_secs(1);

/// See the module.
pub struct Checks {
    client: Client,
}

impl Checks {
    /// Without any token: whom a check asks is none of ours.
    pub fn new() -> Result<Checks, HttpError> {
        Ok(Checks { client: Client::new(HttpConfig::default())? })
    }

    /// The results of those that are a request or a command, side by side.
    pub async fn run(&self, subject: &Subject) -> Evidence {
        let run = |check: &UserCheck| {
            let (id, check) = (check.id(), check.clone());
            async move {
                let answer = match (&check.http, &check.command) {
                    (Some(url), _) => self.http(url).await,
                    (None, Some(line)) => command::run(line, &environment(subject), TIME_MAX).await,
                    (None, None) => return None,
                };
                tracing::debug!(id, ?answer, "checked");
                Some((id, answer))
            }
        };
        futures_util::future::join_all(subject.checks.iter().map(run)).await.into_iter().flatten().collect()
    }

    async fn http(&self, url: &str) -> Answer {
        let limits = Limits { timeout: TIME_MAX / TRIES, body_bytes: BODY_BYTES_MAX };
        let mut said = String::new();
        for number in 0..TRIES {
            if number > 0 {
                tokio::time::sleep(BETWEEN).await;
            }
            match self.client.get(url, &[], limits).await {
                Ok(answer) if (200..400).contains(&answer.status) => {
                    return Answer::Checked { ok: true, said: format!("status {}", answer.status) };
                }
                Ok(answer) => said = format!("{url} answers {}", answer.status),
                Err(error) => said = error.to_string(),
            }
        }
        Answer::Checked { ok: false, said }
    }
}

/// What a command is told of the release.
fn environment(subject: &Subject) -> [(&'static str, String); 3] {
    [
        ("APM_SERVICE", subject.service.clone()),
        ("APM_VERSION", subject.new.version.clone().unwrap_or_default()),
        ("APM_ENVIRONMENT", subject.environment.clone()),
    ]
}
