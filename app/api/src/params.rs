//! Parameters as the Prometheus, Loki and Jaeger APIs take them: from the query string and a posted form alike, with their
//! forms of time and duration.

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, header};

/// All parameters in order; a name may come several times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Params(Vec<(String, String)>);

/// A form larger than this is no query.
const FORM_BYTES_MAX: usize = 2 << 20;

impl Params {
    /// From the form of a POST and from the query string; the form comes first, so it wins where one value is wanted.
    pub(crate) async fn read(request: Request) -> Result<Self, String> {
        let (parts, body) = request.into_parts();
        let mut found = Vec::new();
        if parts.method == Method::POST {
            let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
            if kind.starts_with("application/x-www-form-urlencoded") {
                found = pairs(&read_form(body).await?);
            }
        }
        found.extend(pairs(parts.uri.query().unwrap_or_default().as_bytes()));
        Ok(Params(found))
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(n, _)| n == name).map(|(_, v)| v.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, String> {
        self.get(name).ok_or_else(|| format!("invalid parameter \"{name}\": it is missing"))
    }

    /// A time in Unix milliseconds, as Prometheus writes it.
    pub(crate) fn time_ms(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name).map(|text| time_ns(text).map(|ns| ns.div_euclid(1_000_000))).transpose().map_err(invalid(name))
    }

    /// A time in Unix nanoseconds, as Loki writes it: an integer of more than ten digits counts nanoseconds.
    pub(crate) fn time_ns(&self, name: &str) -> Result<Option<i64>, String> {
        let read = |text: &str| match text.parse::<i64>() {
            Ok(number) if text.len() > 10 => Ok(number),
            _ => time_ns(text),
        };
        self.get(name).map(read).transpose().map_err(invalid(name))
    }

    /// A duration in milliseconds: seconds as a decimal number, or Prometheus's `5m`.
    pub(crate) fn duration_ms(&self, name: &str) -> Result<Option<i64>, String> {
        self.get(name).map(duration_ms).transpose().map_err(invalid(name))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, String> {
        let read = |text: &str| text.parse::<u64>().map_err(|_| format!("`{text}` is not a whole number"));
        self.get(name).map(read).transpose().map_err(invalid(name))
    }
}

fn invalid(name: &str) -> impl Fn(String) -> String {
    move |why| format!("invalid parameter \"{name}\": {why}")
}

fn pairs(text: &[u8]) -> Vec<(String, String)> {
    form_urlencoded::parse(text).into_owned().collect()
}

async fn read_form(body: Body) -> Result<Vec<u8>, String> {
    let bytes = axum::body::to_bytes(body, FORM_BYTES_MAX).await;
    bytes.map(Into::into).map_err(|_| format!("the form has more than {FORM_BYTES_MAX} bytes or broke off"))
}

/// Unix seconds with decimals, or RFC 3339.
fn time_ns(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse \"{text}\" to a valid timestamp");
    if let Ok(seconds) = text.parse::<f64>() {
        // Milliseconds are what Prometheus keeps of it; a double has no more to give today anyway.
        let ms = (seconds * 1000.0).round();
        let in_range = ms.is_finite() && ms.abs() < 9.2e12;
        return if in_range { Ok(ms as i64 * 1_000_000) } else { Err(bad()) };
    }
    let timestamp: jiff::Timestamp = text.parse().map_err(|_| bad())?;
    i64::try_from(timestamp.as_nanosecond()).map_err(|_| bad())
}

fn duration_ms(text: &str) -> Result<i64, String> {
    let bad = || format!("cannot parse \"{text}\" to a valid duration");
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = seconds * 1000.0;
        return if ms.is_finite() && ms.abs() < 9.2e15 { Ok(ms as i64) } else { Err(bad()) };
    }
    text.parse::<app_config::Span>().map(app_config::Span::as_millis_i64).map_err(|_| bad())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_durations() {
        let params = Params(
            [
                ("a", "1435781430.781"),
                ("b", "2015-07-01T20:10:30.781Z"),
                ("c", "1435781430781000001"),
                ("d", "soon"),
                ("e", "90"),
            ]
            .map(|(n, v)| (n.into(), v.into()))
            .to_vec(),
        );
        assert_eq!(params.time_ms("a"), Ok(Some(1_435_781_430_781)));
        assert_eq!(params.time_ms("b"), Ok(Some(1_435_781_430_781)));
        assert_eq!(params.time_ns("c"), Ok(Some(1_435_781_430_781_000_001)));
        assert_eq!(params.time_ns("e"), Ok(Some(90_000_000_000)));
        assert_eq!(params.time_ms("none"), Ok(None));
        assert_eq!(
            params.time_ms("d"),
            Err("invalid parameter \"d\": cannot parse \"soon\" to a valid timestamp".into())
        );
        assert_eq!(params.duration_ms("e"), Ok(Some(90_000)));
    }
}
