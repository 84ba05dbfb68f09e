//! Set-ups for the current thread, what they send and what they tell.

use super::*;
use parking_lot::Mutex;

/// A set-up for the current thread only, and what it told.
fn set_up(variables: &'static [(&'static str, &'static str)], endpoint: String) -> (Telemetry, Subscriber, Told) {
    let told = Told::default();
    let ear = Arc::clone(&told);
    let (telemetry, subscriber) = Instrument::new("cart")
        .shutdown_limit(Duration::from_secs(20))
        .environment(move |name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.clone()),
            _ => variables.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()),
        })
        .notice(move |text| ear.lock().push(text.to_owned()))
        .build()
        .unwrap();
    (telemetry, subscriber, told)
}

type Told = Arc<Mutex<Vec<String>>>;

#[tokio::test]
async fn an_unreachable_collector_is_told_once_and_harms_nothing() {
    // A port that was free a moment ago, and nobody listens on.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (telemetry, subscriber, told) = set_up(&[], format!("http://127.0.0.1:{port}"));
    let guard = tracing::subscriber::set_default(subscriber);
    for _ in 0..100 {
        tracing::info_span!("work").in_scope(|| tracing::info!("done"));
    }
    telemetry.meter("shop").u64_counter("work").build().add(1, &[]);
    assert!(!telemetry.flush().await);
    assert!(telemetry.delivery().failed >= 3, "{:?}", telemetry.delivery());
    telemetry.shutdown().await;
    drop(guard);
    let told = told.lock();
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].starts_with(&format!("telemetry is not delivered: 127.0.0.1:{port}: ")), "{told:?}");
    assert!(told[0].contains("hint: is the collector running"), "{told:?}");
}

#[tokio::test]
async fn a_disabled_sdk_sends_nothing_and_still_runs() {
    let (telemetry, subscriber, told) = set_up(&[("OTEL_SDK_DISABLED", "true")], "http://127.0.0.1:1".to_owned());
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info_span!("work").in_scope(|| tracing::info!("done"));
    telemetry.meter("shop").u64_counter("work").build().add(1, &[]);
    assert!(telemetry.shutdown().await);
    drop(guard);
    assert!(told.lock().is_empty());
}

#[tokio::test]
async fn a_refusal_is_told_once_and_so_is_its_end() {
    use axum::http::StatusCode;
    let status = Arc::new(Mutex::new(StatusCode::UNAUTHORIZED));
    let asked = status.clone();
    let app = axum::Router::new().fallback(move || {
        let status = *asked.lock();
        async move { status }
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let host = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    let only_traces = &[("OTEL_METRICS_EXPORTER", "none"), ("OTEL_LOGS_EXPORTER", "none")];
    let (telemetry, subscriber, told) = set_up(only_traces, format!("http://{host}"));
    let guard = tracing::subscriber::set_default(subscriber);
    let work = async || {
        tracing::info_span!("work").in_scope(|| ());
        telemetry.flush().await
    };
    assert!(!work().await && !work().await);
    let refused = format!(
        "telemetry is not accepted: http://{host}/v1/traces answered 401 Unauthorized\n  hint: put the token into \
         OTEL_EXPORTER_OTLP_HEADERS, for example authorization=Bearer%20TOKEN"
    );
    assert_eq!(*told.lock(), std::slice::from_ref(&refused));
    *status.lock() = StatusCode::OK;
    assert!(work().await && work().await);
    assert_eq!(*told.lock(), [refused, format!("telemetry is delivered to {host} again")]);
    assert_eq!(telemetry.delivery(), crate::Delivery { delivered: 2, failed: 2 });
    assert!(format!("{telemetry:?}").contains("delivered: 2"), "{telemetry:?}");
    drop(guard);
    // Dropped without a shutdown, it ends its threads all the same.
    drop(telemetry);
}

#[test]
fn what_the_builder_is_told() {
    let instrument = Instrument::new("cart").version("1.2").attribute("team", "checkout").console(Console::Json);
    assert!(format!("{instrument:?}").contains("name: \"cart\""), "{instrument:?}");
    let off = |name: &str| name.ends_with("_EXPORTER").then(|| "none".to_owned());
    let (telemetry, _subscriber) = instrument.environment(off).prometheus(true).build().unwrap();
    let text = telemetry.metrics_text().unwrap();
    for label in ["service_name=\"cart\"", "service_version=\"1.2\"", "team=\"checkout\""] {
        assert!(text.contains(label), "{text}");
    }
    let (plain, _) = Instrument::new("cart").environment(off).build().unwrap();
    assert!(plain.metrics_router().is_none() && plain.metrics_text().is_none());
    let bad = Instrument::new("cart").environment(|name| (name == "OTEL_TRACES_EXPORTER").then(|| "x".to_owned()));
    assert!(bad.build().is_err());
}

#[test]
fn levels_of_the_libraries_below() {
    let quiet = level_filter(None).to_string();
    assert!(quiet.contains("info") && quiet.contains("hyper=warn") && quiet.contains("opentelemetry=off"), "{quiet}");
    let asked = level_filter(Some("debug,hyper=trace")).to_string();
    assert!(asked.contains("hyper=trace") && !asked.contains("hyper=warn"), "{asked}");
    for (url, expect) in [
        ("http://localhost:4318", true),
        ("http://127.8.0.1", true),
        ("http://[::1]:4318/x", true),
        ("http://c.example", false),
        ("not a url", false),
    ] {
        assert_eq!(is_loopback(url), expect, "{url}");
    }
}
