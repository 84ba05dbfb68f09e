//! How often a registry lets us ask: `RateLimit-Limit: 100;w=21600` and its kin as Docker Hub sends them, and `Retry-After`. Source: Docker's page on
//! pull limits, draft-polli-ratelimit-headers-03, RFC 9110 10.2.3. It waits for nothing itself.

use std::time::Duration;

use base_http::Incoming;

/// Longer waits are the same as never.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(7 * 86_400);

/// What a registry said with its newest answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateLimit {
    /// Requests in a window.
    pub limit: Option<u64>,
    /// Of these, what is left.
    pub remaining: Option<u64>,
    /// Seconds of the window.
    pub window_s: Option<u64>,
    /// Whom the registry counts: an address, or an account's id.
    pub source: Option<String>,
}

impl RateLimit {
    pub(crate) fn of(answer: &Incoming) -> Option<RateLimit> {
        let source = answer.header("docker-ratelimit-source").map(|text| text.chars().take(100).collect());
        Self::read(answer.header("ratelimit-limit"), answer.header("ratelimit-remaining"), source)
    }

    fn read(limit: Option<&str>, remaining: Option<&str>, source: Option<String>) -> Option<RateLimit> {
        let (limit, window) = limit.map_or((None, None), number);
        let (remaining, other_window) = remaining.map_or((None, None), number);
        let any = limit.is_some() || remaining.is_some();
        any.then_some(RateLimit { limit, remaining, window_s: window.or(other_window), source })
    }
}

impl std::fmt::Display for RateLimit {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.remaining, self.limit) {
            (Some(remaining), Some(limit)) => write!(to, "{remaining} of {limit} requests left")?,
            (Some(remaining), None) => write!(to, "{remaining} requests left")?,
            (None, Some(limit)) => write!(to, "{limit} requests allowed")?,
            (None, None) => return Ok(()),
        }
        match self.window_s {
            Some(seconds) if seconds % 3600 == 0 => write!(to, " in {} h", seconds / 3600),
            Some(seconds) => write!(to, " in {seconds} s"),
            None => Ok(()),
        }
    }
}

/// `100;w=21600` to the number and the window; a list has its first item count.
fn number(text: &str) -> (Option<u64>, Option<u64>) {
    let mut parts = text.split(',').next().unwrap_or_default().split(';').map(str::trim);
    let number = parts.next().and_then(|first| first.parse().ok());
    let window = parts.find_map(|part| part.strip_prefix("w=")?.parse().ok());
    (number, window)
}

/// Seconds or a date, to a time from now.
pub(crate) fn retry_after(text: &str, now_ms: i64) -> Option<Duration> {
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text.trim()).ok()?.timestamp().as_millisecond();
            Duration::from_millis(u64::try_from(at.saturating_sub(now_ms)).unwrap_or(0))
        }
    };
    Some(wait.min(RETRY_AFTER_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_told() {
        let check = |limit: Option<&str>, remaining: Option<&str>, expect: &str| {
            let told = RateLimit::read(limit, remaining, None).map(|limit| limit.to_string()).unwrap_or_default();
            assert_eq!(told, expect, "{limit:?} {remaining:?}");
        };
        check(Some("100;w=21600"), Some("76;w=21600"), "76 of 100 requests left in 6 h");
        check(Some("100, 100;window=60"), Some("7"), "7 of 100 requests left");
        check(None, Some("5 ; w=90"), "5 requests left in 90 s");
        check(Some("200"), None, "200 requests allowed");
        check(Some("many"), None, "");
        check(None, None, "");
    }

    #[test]
    fn a_wait_is_seconds_or_a_date() {
        // 2015-10-21T07:28:00Z
        let date_ms = 1_445_412_480_000;
        let check = |text: &str, now_ms: i64, expect: Option<u64>| {
            assert_eq!(retry_after(text, now_ms).map(|wait| wait.as_secs()), expect, "{text}");
        };
        check("7", 0, Some(7));
        check(" 0 ", 0, Some(0));
        check("99999999999", 0, Some(604_800));
        check("Wed, 21 Oct 2015 07:28:00 GMT", date_ms - 30_000, Some(30));
        check("Wed, 21 Oct 2015 07:28:00 GMT", date_ms + 30_000, Some(0));
        check("soon", 0, None);
        check("-1", 0, None);
    }
}
