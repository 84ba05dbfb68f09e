//! OpenTelemetry's environment variables, read once into plain values.
//!
//! Source: the OpenTelemetry specification, "Environment Variable Specification" and "OTLP Exporter Configuration".
//! Batch sizes and delays (`OTEL_BSP_*`, `OTEL_BLRP_*`), `OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_TRACES_SAMPLER` and the
//! span limits are read by the SDK itself and are not repeated here. It does not know how an exporter is built.

use std::time::Duration;

use crate::error::InstrumentError;

/// Finds the value of a variable. An empty value counts as unset, as the specification says.
pub(crate) type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Where one signal goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Route {
    /// The whole URL, path included; `None` when OTLP is not wanted for this signal.
    pub(crate) otlp: Option<String>,
    /// Also kept for a Prometheus scrape (metrics only).
    pub(crate) prometheus: bool,
}

/// What the environment says, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Environment {
    pub(crate) disabled: bool,
    pub(crate) service_name: Option<String>,
    pub(crate) resource_attributes: Vec<(String, String)>,
    pub(crate) traces: Route,
    pub(crate) metrics: Route,
    pub(crate) logs: Route,
    pub(crate) timeout: Duration,
    pub(crate) propagators: Vec<Propagator>,
    /// Things to tell the person, none of which stops the service.
    pub(crate) remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagator {
    TraceContext,
    Baggage,
}

const ENDPOINT_DEFAULT: &str = "http://localhost:4318";
const TIMEOUT_MS_DEFAULT: u64 = 10_000;

pub(crate) fn read(lookup: Lookup<'_>) -> Result<Environment, InstrumentError> {
    let lookup = |name: &str| lookup(name).map(|v| v.trim().to_owned()).filter(|v| !v.is_empty());
    let mut remarks = Vec::new();
    let resource_attributes = pairs(lookup("OTEL_RESOURCE_ATTRIBUTES").as_deref().unwrap_or_default(), &mut remarks);
    let service_name = lookup("OTEL_SERVICE_NAME")
        .or_else(|| resource_attributes.iter().find(|(key, _)| key == "service.name").map(|(_, value)| value.clone()));
    Ok(Environment {
        disabled: lookup("OTEL_SDK_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true")),
        service_name,
        resource_attributes,
        traces: route(&lookup, "TRACES", &mut remarks)?,
        metrics: route(&lookup, "METRICS", &mut remarks)?,
        logs: route(&lookup, "LOGS", &mut remarks)?,
        timeout: timeout(&lookup)?,
        propagators: propagators(&lookup, &mut remarks),
        remarks,
    })
}

fn route(
    lookup: &dyn Fn(&str) -> Option<String>,
    signal: &str,
    remarks: &mut Vec<String>,
) -> Result<Route, InstrumentError> {
    let variable = format!("OTEL_{signal}_EXPORTER");
    let mut wanted = Route { otlp: None, prometheus: false };
    let mut otlp = false;
    for word in lookup(&variable).as_deref().unwrap_or("otlp").split(',').map(str::trim).filter(|w| !w.is_empty()) {
        match word {
            "otlp" => otlp = true,
            "none" => {}
            "prometheus" if signal == "METRICS" => wanted.prometheus = true,
            "console" => {
                remarks.push(format!("{variable}=console is left out: set RUST_LOG and Console::Text instead"))
            }
            other => {
                return Err(InstrumentError::setting(
                    variable,
                    other,
                    "no such exporter here",
                    if signal == "METRICS" {
                        "use otlp, prometheus or none; several are separated by commas"
                    } else {
                        "use otlp or none"
                    },
                ));
            }
        }
    }
    if otlp {
        check_protocol(lookup, signal)?;
        wanted.otlp = Some(endpoint(lookup, signal)?);
    }
    Ok(wanted)
}

fn check_protocol(lookup: &dyn Fn(&str) -> Option<String>, signal: &str) -> Result<(), InstrumentError> {
    for variable in [format!("OTEL_EXPORTER_OTLP_{signal}_PROTOCOL"), "OTEL_EXPORTER_OTLP_PROTOCOL".to_owned()] {
        match lookup(&variable).as_deref() {
            None => continue,
            Some("http/protobuf") => {}
            Some("grpc") => {
                return Err(InstrumentError::setting(
                    variable,
                    "grpc",
                    "this library speaks OTLP over HTTP only",
                    "set it to http/protobuf (or unset it) and point the endpoint at the collector's HTTP port, usually 4318",
                ));
            }
            Some(other) => {
                return Err(InstrumentError::setting(
                    variable,
                    other,
                    "this protocol is not supported",
                    "set it to http/protobuf, or unset it",
                ));
            }
        }
        return Ok(());
    }
    Ok(())
}

/// A signal's own endpoint is used as it is; the shared one gets `/v1/<signal>` appended.
fn endpoint(lookup: &dyn Fn(&str) -> Option<String>, signal: &str) -> Result<String, InstrumentError> {
    let own = format!("OTEL_EXPORTER_OTLP_{signal}_ENDPOINT");
    let (variable, url) = match lookup(&own) {
        Some(url) => (own, url),
        None => {
            let base = lookup("OTEL_EXPORTER_OTLP_ENDPOINT").unwrap_or_else(|| ENDPOINT_DEFAULT.to_owned());
            let url = format!("{}/v1/{}", base.trim_end_matches('/'), signal.to_lowercase());
            ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), url)
        }
    };
    let scheme_and_host = url.parse::<http::Uri>().ok().filter(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some_and(|host| !host.is_empty())
    });
    match scheme_and_host {
        Some(_) => Ok(url),
        None => Err(InstrumentError::setting(
            variable,
            url,
            "this is not an http:// or https:// URL",
            "write the scheme and the host, for example http://localhost:4318",
        )),
    }
}

fn timeout(lookup: &dyn Fn(&str) -> Option<String>) -> Result<Duration, InstrumentError> {
    let variable = "OTEL_EXPORTER_OTLP_TIMEOUT";
    let Some(text) = lookup(variable) else { return Ok(Duration::from_millis(TIMEOUT_MS_DEFAULT)) };
    match text.parse::<u64>() {
        Ok(ms) if ms > 0 => Ok(Duration::from_millis(ms)),
        _ => Err(InstrumentError::setting(
            variable,
            text,
            "this is not a number of milliseconds above 0",
            "for ten seconds write 10000",
        )),
    }
}

fn propagators(lookup: &dyn Fn(&str) -> Option<String>, remarks: &mut Vec<String>) -> Vec<Propagator> {
    let mut found = Vec::new();
    let text = lookup("OTEL_PROPAGATORS").unwrap_or_else(|| "tracecontext,baggage".to_owned());
    for word in text.split(',').map(str::trim).filter(|w| !w.is_empty()) {
        match word {
            "tracecontext" => found.push(Propagator::TraceContext),
            "baggage" => found.push(Propagator::Baggage),
            "none" => return Vec::new(),
            other => remarks.push(format!(
                "OTEL_PROPAGATORS names `{other}`, which is left out: only tracecontext and baggage are supported"
            )),
        }
    }
    found
}

/// `key=value,key=value` with percent-encoded values (W3C Baggage octets). A broken pair is told and left out, the
/// others still count.
fn pairs(text: &str, remarks: &mut Vec<String>) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        match part.split_once('=').map(|(key, value)| (key.trim(), percent_decoded(value.trim()))) {
            Some((key, Some(value))) if !key.is_empty() => found.push((key.to_owned(), value)),
            _ => remarks.push(format!("OTEL_RESOURCE_ATTRIBUTES has `{part}`, which is left out: it is not key=value")),
        }
    }
    found
}

fn percent_decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(variables: &[(&str, &str)], expect: &str) {
        let lookup = |name: &str| variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        let seen = match read(&lookup) {
            Ok(env) => format!(
                "name={} traces={} metrics={}{} logs={}{}{}",
                env.service_name.as_deref().unwrap_or("-"),
                env.traces.otlp.as_deref().unwrap_or("-"),
                env.metrics.otlp.as_deref().unwrap_or("-"),
                if env.metrics.prometheus { "+prometheus" } else { "" },
                env.logs.otlp.as_deref().unwrap_or("-"),
                env.resource_attributes.iter().map(|(k, v)| format!(" {k}={v}")).collect::<String>(),
                env.remarks.iter().map(|remark| format!(" ! {remark}")).collect::<String>(),
            ),
            Err(error) => error.to_string(),
        };
        assert_eq!(seen, expect, "{variables:?}");
    }

    #[test]
    fn variables_are_the_ones_opentelemetry_names() {
        check(
            &[],
            "name=- traces=http://localhost:4318/v1/traces metrics=http://localhost:4318/v1/metrics \
             logs=http://localhost:4318/v1/logs",
        );
        check(
            &[
                ("OTEL_SERVICE_NAME", "cart"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c.example:9/base/"),
                ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://logs.example/in"),
                ("OTEL_METRICS_EXPORTER", "otlp, prometheus"),
            ],
            "name=cart traces=https://c.example:9/base/v1/traces \
             metrics=https://c.example:9/base/v1/metrics+prometheus logs=http://logs.example/in",
        );
        check(
            &[
                ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a%20b,team=x,broken"),
                ("OTEL_TRACES_EXPORTER", "none"),
                ("OTEL_METRICS_EXPORTER", "prometheus"),
                ("OTEL_LOGS_EXPORTER", "none"),
            ],
            "name=a b traces=- metrics=-+prometheus logs=- service.name=a b team=x ! OTEL_RESOURCE_ATTRIBUTES has \
             `broken`, which is left out: it is not key=value",
        );
        check(
            &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")],
            "OTEL_EXPORTER_OTLP_PROTOCOL is `grpc`: this library speaks OTLP over HTTP only\n  hint: set it to \
             http/protobuf (or unset it) and point the endpoint at the collector's HTTP port, usually 4318",
        );
        check(
            &[("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318")],
            "OTEL_EXPORTER_OTLP_ENDPOINT is `localhost:4318/v1/traces`: this is not an http:// or https:// URL\n  \
             hint: write the scheme and the host, for example http://localhost:4318",
        );
        check(
            &[("OTEL_LOGS_EXPORTER", "prometheus")],
            "OTEL_LOGS_EXPORTER is `prometheus`: no such exporter here\n  hint: use otlp or none",
        );
    }

    #[test]
    fn settings_that_cannot_be_honoured_name_themselves() {
        let http = "name=- traces=http://localhost:4318/v1/traces metrics=http://localhost:4318/v1/metrics \
                    logs=http://localhost:4318/v1/logs";
        check(
            &[("OTEL_TRACES_EXPORTER", "console"), ("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")],
            "name=- traces=- metrics=- logs=- ! OTEL_TRACES_EXPORTER=console is left out: set RUST_LOG and \
             Console::Text instead",
        );
        check(
            &[("OTEL_METRICS_EXPORTER", "statsd")],
            "OTEL_METRICS_EXPORTER is `statsd`: no such exporter here\n  hint: use otlp, prometheus or none; several are \
             separated by commas",
        );
        check(
            &[("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json")],
            "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL is `http/json`: this protocol is not supported\n  hint: set it to \
             http/protobuf, or unset it",
        );
        // A signal's own protocol goes before the shared one.
        let own = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/protobuf"),
        ];
        check(&own, http);
        for text in ["0", "-1", "10s"] {
            let expect = format!(
                "OTEL_EXPORTER_OTLP_TIMEOUT is `{text}`: this is not a number of milliseconds above 0\n  hint: for ten \
                 seconds write 10000"
            );
            check(&[("OTEL_EXPORTER_OTLP_TIMEOUT", text)], &expect);
        }
        check(&[("OTEL_EXPORTER_OTLP_TIMEOUT", " 250 "), ("OTEL_SERVICE_NAME", "  ")], http);
        check(
            &[("OTEL_RESOURCE_ATTRIBUTES", "a=%4,b=%zz,=c,d=%ff,e=%C3%A9")],
            &format!(
                "{http} e=é{}",
                ["a=%4", "b=%zz", "=c", "d=%ff"]
                    .map(|part| format!(
                        " ! OTEL_RESOURCE_ATTRIBUTES has `{part}`, which is left out: it is not key=value"
                    ))
                    .concat()
            ),
        );
        check(
            &[("OTEL_PROPAGATORS", "b3,tracecontext")],
            &format!(
                "{http} ! OTEL_PROPAGATORS names `b3`, which is left out: only tracecontext and baggage are supported"
            ),
        );
    }

    #[test]
    fn limits_and_propagators() {
        let with = |name: &'static str, value: &'static str| {
            read(&move |asked: &str| (asked == name).then(|| value.to_owned())).unwrap()
        };
        assert_eq!(with("X", "").timeout, Duration::from_secs(10));
        assert_eq!(with("OTEL_EXPORTER_OTLP_TIMEOUT", "250").timeout, Duration::from_millis(250));
        assert_eq!(with("X", "").propagators, [Propagator::TraceContext, Propagator::Baggage]);
        assert_eq!(with("OTEL_PROPAGATORS", "baggage").propagators, [Propagator::Baggage]);
        assert_eq!(with("OTEL_PROPAGATORS", "tracecontext,none").propagators, []);
        assert!(with("OTEL_SDK_DISABLED", "TRUE").disabled && !with("OTEL_SDK_DISABLED", "1").disabled);
    }
}
