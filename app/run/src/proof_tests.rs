//! What a person is told when no trace comes, and that the first trace is found and linked.

use super::*;

fn search(api_url: &str, carried: Carried) -> Search {
    Search {
        service: "shop".to_owned(),
        api_url: api_url.to_owned(),
        token: None,
        otlp_endpoint: "http://127.0.0.1:4318".to_owned(),
        since_us: 1_000,
        timeout: Duration::from_millis(50),
        carried,
    }
}

fn agent(answers: &[&'static str]) -> Carried {
    Carried::Agent { instruments: answers.to_vec(), answers: answers.to_vec() }
}

#[test]
fn every_reason_is_named() {
    let good = Facts { otlp_listens: true, started: true, ..Facts::default() };
    let check = |facts: Facts, carried: Carried, expect: &str| {
        let said = diagnose(&facts, &search("http://127.0.0.1:4300", carried));
        assert!(said.contains(expect), "{said}\nlacks: {expect}");
    };
    check(
        good.clone(),
        agent(&["flask"]),
        "no request has reached the program. Open one of its pages: flask is watched",
    );
    check(good.clone(), agent(&["flask", "redis"]), "flask, redis are watched");
    check(good.clone(), agent(&[]), "knows none of the frameworks");
    check(Facts { started: false, ..good.clone() }, agent(&["flask"]), "-E or -I");
    check(Facts { otlp_listens: false, ..good.clone() }, agent(&["flask"]), "nothing listens on http://127.0.0.1:4318");
    check(Facts { span_made: true, ..good.clone() }, agent(&["flask"]), "under the service \"shop\"");
    check(
        Facts { span_made: true, export_failed: Some("415 Unsupported".to_owned()), ..good.clone() },
        agent(&["flask"]),
        "could not send it to http://127.0.0.1:4318: 415 Unsupported",
    );
    check(
        Facts { disabled: Some("the program has protobuf 3.20".to_owned()), clash: true, ..good.clone() },
        agent(&["flask"]),
        "protobuf 3.20. Change that package",
    );
    check(good, Carried::EnvironmentOnly { why: "Go programs are not yet instrumented".to_owned() }, "Go programs");
    check(
        Facts { engine_trouble: Some("The engine does not answer".to_owned()), ..Facts::default() },
        agent(&["flask"]),
        "The engine does not answer",
    );
}

/// An engine that answers every request with one text.
async fn engine(status: &'static str, body: &'static str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer =
                format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    url
}

async fn first_line(url: &str) -> News {
    let folder = tempfile::tempdir().unwrap();
    let (sender, mut lines) = tokio::sync::mpsc::channel(4);
    let status = Status::new(&folder.path().join("none.jsonl"));
    let task = tokio::spawn(watch(search(url, agent(&["flask"])), status, sender));
    let line = lines.recv().await.unwrap();
    task.abort();
    line
}

#[tokio::test]
async fn the_first_trace_is_linked() {
    let found = r#"{"data":[{"traceID":"abc","spans":[{"operationName":"SELECT","startTime":1900,"references":[{"refType":"CHILD_OF","traceID":"abc","spanID":"1"}]},{"operationName":"GET /cart","startTime":2000}]}]}"#;
    let url = engine("200 OK", found).await;
    assert_eq!(first_line(&url).await, News::Arrived(format!("First trace: GET /cart {url}/ui/traces/abc")));
}

#[tokio::test]
async fn a_trace_of_an_earlier_launch_proves_nothing() {
    let url =
        engine("200 OK", r#"{"data":[{"traceID":"abc","spans":[{"operationName":"GET /","startTime":999}]}]}"#).await;
    let news = first_line(&url).await;
    assert!(matches!(news, News::Line(Tone::Warning, _)), "{news:?}");
}

#[tokio::test]
async fn an_engine_that_refuses_is_named() {
    let url = engine("401 Unauthorized", "").await;
    let News::Line(Tone::Warning, text) = first_line(&url).await else { panic!("no warning") };
    assert!(text.contains("asks for a token (401)"), "{text}");
    let url = engine("200 OK", "<html>").await;
    let News::Line(Tone::Warning, text) = first_line(&url).await else { panic!("no warning") };
    assert!(text.contains("is no engine that serves traces"), "{text}");
}
