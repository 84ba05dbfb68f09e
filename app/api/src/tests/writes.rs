//! Writers in the words of Prometheus and Loki: what is taken, what is refused and whether to try again.

use std::time::Duration;

use futures_util::stream;
use observe_wire::otlp::Signal;
use observe_wire::proto::Writer;

use super::*;

pub(super) const PROTOBUF: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A snappy block of literals alone, of up to 256 bytes each: the format's description, section 2.1.
pub(super) fn snappy(message: &[u8]) -> Vec<u8> {
    let mut length = Writer::default();
    length.put_varint(message.len() as u64);
    let mut out = length.0;
    for chunk in message.chunks(256) {
        out.extend([60 << 2, u8::try_from(chunk.len() - 1).unwrap()]);
        out.extend_from_slice(chunk);
    }
    out
}

/// A `prometheus.WriteRequest` of one sample at NOW for each list of labels.
pub(super) fn write_request(series: &[&[(&str, &str)]]) -> Vec<u8> {
    let mut request = Writer::default();
    for labels in series {
        request.message(1, |one| {
            for (name, value) in *labels {
                one.message(1, |label| {
                    label.text(1, name).text(2, value);
                });
            }
            one.message(2, |sample| {
                sample.double(1, 1.5).varint(2, NOW_MS as u64);
            });
        });
    }
    snappy(&request.0)
}

const UP: &[(&str, &str)] = &[("__name__", "up"), ("job", "a")];

#[tokio::test]
async fn remote_write() {
    let server = Server::new();
    let headers = [PROTOBUF, ("content-encoding", "snappy"), ("x-prometheus-remote-write-version", "0.1.0")];
    let reply = server.ask("POST", "/api/v1/write", &headers, write_request(&[UP])).await;
    assert_eq!((reply.status, reply.text()), (204, String::new()));
    let (_, found) = server.get("/api/v1/query?query=up").await;
    assert_eq!(found["data"]["result"][0]["value"], json!([1_700_000_000, "1.5"]));
    // What is good is kept although the rest is told; 400 keeps the sender from trying again.
    let mixed = write_request(&[&[("job", "a")], &[("__name__", "kept")]]);
    let reply = server.ask("POST", "/api/v1/write", &headers, mixed).await;
    assert_eq!(reply.status, 400);
    assert!(reply.text().starts_with("1 invalid_labels (first: no metric name (__name__)"), "{}", reply.text());
    let (_, found) = server.get("/api/v1/query?query=kept").await;
    assert_eq!(found["data"]["result"].as_array().map(Vec::len), Some(1));
    assert_eq!((server.api.counters.taken(Signal::Metrics), server.api.counters.rejected(Signal::Metrics)), (2, 1));

    assert_eq!(server.get("/api/v1/write").await.0, 405);
}

#[tokio::test]
async fn remote_write_2_is_told_what_was_written() {
    let server = Server::new();
    let mut request = Writer::default();
    for text in ["", "__name__", "up", "trace_id", "ab"] {
        request.text(4, text);
    }
    request.message(5, |series| {
        series.bytes(1, &[1, 2]);
        for value in [1.5, 2.5] {
            series.message(2, |sample| {
                sample.double(1, value).varint(2, NOW_MS as u64 + value as u64);
            });
        }
        series.message(3, |histogram| {
            histogram.varint(1, 1).double(3, 0.5).varint(6, 1).varint(15, NOW_MS as u64);
        });
        for value in [0.5, 0.6, 0.7] {
            series.message(4, |exemplar| {
                exemplar.bytes(1, &[3, 4]).double(2, value).varint(3, NOW_MS as u64);
            });
        }
    });
    // A series that nobody can name costs itself.
    request.message(5, |series| {
        series.bytes(1, &[1, 77]).message(2, |sample| {
            sample.double(1, 1.0).varint(2, NOW_MS as u64);
        });
    });
    let v2 = ("content-type", "application/x-protobuf;proto=io.prometheus.write.v2.Request");
    let body = snappy(&request.0);
    let reply = server.ask("POST", "/api/v1/write", &[v2, ("content-encoding", "snappy")], body.clone()).await;
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert!(reply.text().contains("text 77 is named"), "{}", reply.text());
    let written = |what: &str| reply.header(&format!("x-prometheus-remote-write-{what}-written")).to_owned();
    assert_eq!(["samples", "histograms", "exemplars"].map(written), ["2", "1", "3"]);
    let (_, found) = server.get("/api/v1/query?query=up&time=1700000002").await;
    assert_eq!(found["data"]["result"][0]["value"][1], "2.5");
    // The first version has no such headers, and its sender would take zeros for a loss.
    let reply = server.ask("POST", "/api/v1/write", &[PROTOBUF], write_request(&[UP])).await;
    assert_eq!((reply.status, reply.header("x-prometheus-remote-write-samples-written")), (204, ""));
    for (header, why) in [
        (("content-type", "application/json"), "expected application/x-protobuf as the first (media) part"),
        (
            ("content-type", "application/x-protobuf;proto=some.Other"),
            "supported: prometheus.WriteRequest, io.prometheus.write.v2.Request",
        ),
    ] {
        let reply = server.ask("POST", "/api/v1/write", &[header], body.clone()).await;
        assert_eq!(reply.status, 415, "{header:?}");
        assert!(reply.text().contains(why), "{}", reply.text());
    }
}

#[tokio::test]
async fn loki_push_as_promtail_and_alloy_send_it() {
    let server = Server::new();
    // PushRequest.streams 1; StreamAdapter's labels 1, entries 2; EntryAdapter's timestamp 1, line 2.
    let mut request = Writer::default();
    request.message(1, |stream| {
        stream.text(1, r#"{job="a"}"#).message(2, |entry| {
            entry.message(1, |time| {
                time.varint(1, NOW_MS as u64 / 1000 - 1);
            });
            entry.text(2, "by protobuf");
        });
    });
    let reply = server.ask("POST", "/loki/api/v1/push", &[PROTOBUF], snappy(&request.0)).await;
    assert_eq!((reply.status, reply.text()), (204, String::new()));
    // No Content-Type is protobuf, a parameter of it does not matter.
    assert_eq!(server.ask("POST", "/loki/api/v1/push", &[], snappy(&request.0)).await.status, 204);
    let (_, found) = server.get_with("/loki/api/v1/query_range", &[("query", r#"{job="a"}"#)]).await;
    assert_eq!(found["data"]["result"][0]["values"][0][1], "by protobuf");
    let json = ("content-type", "application/json; charset=utf-8");
    let body = json!({"streams": [
        {"stream": {}, "values": [["1", "lost"]]},
        {"stream": {"job": "b"}, "values": [[(NOW_MS * 1_000_000 - 1).to_string(), "kept"]]},
    ]});
    let reply = server.ask("POST", "/loki/api/v1/push", &[json], body.to_string()).await;
    assert_eq!(
        (reply.status, reply.text()),
        (400, "1 invalid_labels (first: a stream needs at least one label)\n".into())
    );
    let (_, found) = server.get_with("/loki/api/v1/query_range", &[("query", r#"{job="b"}"#)]).await;
    assert_eq!(found["data"]["result"][0]["values"][0][1], "kept");
    let reply = server.ask("POST", "/loki/api/v1/push", &[("content-type", "text/plain")], "x").await;
    let why = "Content-Type `text/plain` is not known here; send application/json or application/x-protobuf\n";
    assert_eq!((reply.status, reply.text()), (415, why.into()));
}

/// A gzip file of one stored block (RFC 1952, RFC 1951 section 3.2.4) that breaks off within it.
fn broken_gzip() -> Vec<u8> {
    vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 9, 0]
}

#[tokio::test]
async fn a_packed_body_is_unpacked_and_gives_its_room_back() {
    // The body in one stored block, then 0x40e0_95ed-32 and length.
    let body = br#"{"streams":[]}"#;
    let mut packed = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff, 1, 14, 0, !14, 0xff];
    packed.extend_from_slice(body);
    packed.extend(0x40e0_95ed_u32.to_le_bytes());
    packed.extend(14_u32.to_le_bytes());
    let server = Server::new();
    for _ in 0..10 {
        let headers = [JSON, ("content-encoding", "gzip")];
        assert_eq!(server.ask("POST", "/loki/api/v1/push", &headers, packed.clone()).await.status, 204);
    }
    // Beside the packed body itself nothing would ever fit: waiting would not help.
    let server = bodies(|limits| limits.in_flight_bytes = 64 << 10);
    let reply = server.ask("POST", "/loki/api/v1/push", &[JSON, ("content-encoding", "gzip")], packed).await;
    assert_eq!((reply.status, reply.header("retry-after")), (413, ""));
}

fn bodies(change: impl FnOnce(&mut BodyLimits)) -> Server {
    let mut limits = BodyLimits { body_bytes: 64 << 10, in_flight_bytes: 256 << 10, ..BodyLimits::default() };
    change(&mut limits);
    Server::with(|api| api.bodies = Bodies::new(limits))
}

/// The same fault told to a Prometheus, a promtail and an OpenTelemetry SDK: status, Retry-After, the text's beginning, and
/// OTLP's code.
async fn refused(server: &Server, headers: &[(&str, &str)], body: impl Fn() -> Body, expected: (u16, &str, &str, u64)) {
    let (status, retry, text, code) = expected;
    for path in ["/api/v1/write", "/loki/api/v1/push", "/v1/logs"] {
        let kind = if path == "/api/v1/write" { PROTOBUF } else { JSON };
        let headers: Vec<_> = std::iter::once(kind).chain(headers.iter().copied()).collect();
        let reply = server.ask("POST", path, &headers, body()).await;
        assert_eq!((reply.status, reply.header("retry-after")), (status, retry), "{path}: {}", reply.text());
        let why = if path == "/v1/logs" {
            let answer: Value = serde_json::from_slice(&reply.bytes).unwrap();
            assert_eq!(answer["code"], code, "{path}");
            answer["message"].as_str().unwrap().to_owned()
        } else {
            assert!(reply.text().ends_with('\n'), "{path}");
            reply.text()
        };
        assert!(why.starts_with(text), "{path}: {why}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_taken() {
    let server = bodies(|_| {});
    let large = "the body has more than 65536 bytes, the limit of one request; send smaller batches";
    refused(&server, &[], || vec![b' '; (64 << 10) + 1].into(), (413, "", large, 3)).await;
    // A length that is announced is believed before a byte is read.
    let stuck = || Body::from_stream(stream::pending::<Result<bytes::Bytes, std::io::Error>>());
    refused(&server, &[("content-length", "65537")], stuck, (413, "", large, 3)).await;
    let packed = "the body could not be unpacked: ";
    refused(&server, &[("content-encoding", "gzip")], || broken_gzip().into(), (400, "", packed, 3)).await;
    refused(&server, &[("content-encoding", "br")], || "x".into(), (415, "", packed, 3)).await;
    let broken = || {
        let pieces = [Ok(bytes::Bytes::from("{")), Err(std::io::Error::other("reset by peer"))];
        Body::from_stream(stream::iter(pieces))
    };
    refused(&server, &[], broken, (400, "", "the body broke off: ", 3)).await;

    let server = bodies(|limits| limits.idle_timeout = Duration::from_millis(5));
    refused(&server, &[], stuck, (408, "", "the body did not arrive in time", 4)).await;
    let server = bodies(|limits| limits.total_timeout = Duration::from_millis(5));
    refused(&server, &[], stuck, (408, "", "the body did not arrive in time", 4)).await;
    let server = bodies(|limits| limits.in_flight_bytes = 32 << 10);
    let busy = "all bodies in flight together would pass 32768 bytes; nothing was taken, send it again in a moment";
    refused(&server, &[], || "{}".into(), (429, "1", busy, 8)).await;
    assert_eq!(server.api.counters.shed_total(), 3);
    // Nothing of it stayed taken.
    assert_eq!(bodies(|_| {}).post_json("/v1/logs", json!({})).await, (200, json!({})));
}

#[tokio::test]
async fn a_store_that_does_not_take_more() {
    let server = Server::new();
    let push = json!({"streams": [{"stream": {"a": "b"}, "values": [["1", "x"]]}]}).to_string();
    let shed = SourceError::Shed { what: "memory", retry_after_ms: 1500 };
    let unavailable = SourceError::Unavailable { reason: "no sync".into() };
    let table = [
        (shed, 429, "2", "over its memory limit; nothing was taken, try again in 1500 ms\n", 8),
        (unavailable, 503, "5", "the store cannot take more: no sync\n", 14),
    ];
    for (fault, status, retry, text, code) in table {
        server.fault(Fault::Error(fault));
        let writes =
            [("/api/v1/write", PROTOBUF, write_request(&[UP])), ("/loki/api/v1/push", JSON, push.clone().into())];
        for (path, kind, body) in writes {
            let reply = server.ask("POST", path, &[kind], body).await;
            assert_eq!(
                (reply.status, reply.header("retry-after"), reply.text().as_str()),
                (status, retry, text),
                "{path}"
            );
        }
        let reply = server.ask("POST", "/v1/traces", &[JSON], one_trace().to_string()).await;
        let answer: Value = serde_json::from_slice(&reply.bytes).unwrap();
        assert_eq!((reply.status, reply.header("retry-after"), &answer["code"]), (status, retry, &json!(code)));
        assert_eq!(answer["message"], text.trim_end());
    }
}

#[tokio::test]
async fn what_unpacks_to_too_much_is_too_large() {
    let server = Server::new();
    // A snappy header that promises 1 MiB of a body that may become 256 KiB.
    let reply = server.ask("POST", "/api/v1/write", &[PROTOBUF], vec![0x80, 0x80, 0x40, 0]).await;
    assert_eq!(reply.status, 413, "{}", reply.text());
    let reply = server.ask("POST", "/api/v1/write", &[PROTOBUF], "not snappy").await;
    assert_eq!(reply.status, 400, "{}", reply.text());
}

#[tokio::test]
async fn a_writer_names_its_tenant_where_tenancy_is_on() {
    let server = shared_server();
    let why = "no org id: with tenancy on, a request needs the header X-Scope-OrgID";
    for (path, kind) in [("/api/v1/write", PROTOBUF), ("/loki/api/v1/push", JSON), ("/v1/logs", JSON)] {
        let reply = server.ask("POST", path, &[kind], "{}").await;
        assert!(reply.status == 401 && reply.text().contains(why), "{path}: {} {}", reply.status, reply.text());
    }
    let reply = server.ask("POST", "/v1/logs", &[JSON, ("x-scope-orgid", "team-a")], "{}").await;
    assert_eq!(reply.status, 200);
}
