//! Whatever comes over the wire, the engine answers with a status that is right and a sentence that helps, and goes on working.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tests_journeys::remote_write::{self, Series};
use tests_journeys::{Engine, http, otlp, wait};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

/// Path, headers, body, and the statuses that are right.
type Row = (&'static str, &'static [(&'static str, &'static str)], Vec<u8>, &'static [u16]);

#[test]
fn malformed_requests_are_refused_with_a_reason() {
    let engine = Engine::start("malformed");
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    let rows: &[Row] = &[
        ("/v1/traces", &[("content-type", PROTOBUF)], vec![0xff; 64], &[400]),
        ("/v1/traces", &[("content-type", PROTOBUF)], vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f], &[400]),
        ("/v1/metrics", &[("content-type", PROTOBUF)], b"hello".to_vec(), &[400]),
        ("/v1/logs", &[("content-type", PROTOBUF), ("content-encoding", "gzip")], b"not gzip".to_vec(), &[400]),
        ("/v1/logs", &[("content-type", PROTOBUF), ("content-encoding", "br")], Vec::new(), &[400, 415]),
        ("/v1/traces", &[("content-type", JSON)], b"{\"resourceSpans\": [".to_vec(), &[400]),
        ("/v1/traces", &[("content-type", JSON)], b"{\"resourceSpans\": 7}".to_vec(), &[400]),
        ("/v1/traces", &[("content-type", JSON)], deep.clone().into_bytes(), &[400]),
        ("/v1/traces", &[("content-type", "text/csv")], b"a,b".to_vec(), &[415]),
        ("/v1/traces", &[], b"a,b".to_vec(), &[400, 415]),
        ("/v1/nothing", &[("content-type", JSON)], b"{}".to_vec(), &[404]),
        (
            "/api/v1/write",
            &[("content-type", PROTOBUF), ("content-encoding", "snappy")],
            b"not snappy".to_vec(),
            &[400],
        ),
        ("/api/v1/write", &[("content-type", PROTOBUF), ("content-encoding", "snappy")], bomb_snappy(), &[400, 413]),
        ("/api/v1/write", &[("content-type", "text/csv")], Vec::new(), &[400, 415]),
        ("/loki/api/v1/push", &[("content-type", JSON)], b"{\"streams\": [{\"stream\": {\"a\": 1}}]}".to_vec(), &[400]),
        ("/loki/api/v1/push", &[("content-type", JSON)], deep.into_bytes(), &[400]),
        ("/loki/api/v1/push", &[("content-type", PROTOBUF)], vec![7; 100], &[400]),
    ];
    for (path, headers, body, statuses) in rows {
        let base = if path.starts_with("/v1/") { &engine.otlp_http } else { &engine.url };
        let reply = http::post(&format!("{base}{path}"), headers, body.clone());
        assert!(
            statuses.contains(&reply.status),
            "{path} {headers:?}: {} {}, not one of {statuses:?}",
            reply.status,
            reply.text()
        );
        assert!(reply.body.len() > 10, "{path} {headers:?}: {} without a reason", reply.status);
        assert!(reply.body.len() < 4096, "{path} {headers:?}: the reason is {} bytes long", reply.body.len());
    }
    still_works(&engine);
}

#[test]
fn malformed_questions_are_refused_with_a_reason() {
    let engine = Engine::start("malformed_questions");
    let nested = format!("{}1{}", "(".repeat(8_000), ")".repeat(8_000));
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("/api/v1/query", &[("query", "sum(")]),
        ("/api/v1/query", &[("query", &nested)]),
        ("/api/v1/query", &[("query", "up"), ("time", "yesterday")]),
        ("/api/v1/query", &[]),
        ("/api/v1/query_range", &[("query", "up"), ("start", "0"), ("end", "9e9"), ("step", "1")]),
        ("/api/v1/query_range", &[("query", "up"), ("start", "10"), ("end", "5"), ("step", "1")]),
        ("/api/v1/query_range", &[("query", "up"), ("start", "1"), ("end", "5"), ("step", "0")]),
        ("/api/v1/series", &[]),
        ("/loki/api/v1/query_range", &[("query", "{a=")]),
        ("/loki/api/v1/query_range", &[("query", "{a=~\"(\"}")]),
        ("/api/traces/zz", &[]),
    ];
    for (path, parameters) in rows {
        let reply = engine.get(path, parameters);
        assert!([400, 404, 422].contains(&reply.status), "{path}: {} {}", reply.status, reply.text());
        assert!(reply.body.len() > 10, "{path}: {} without a reason", reply.status);
    }
    still_works(&engine);
}

#[test]
fn a_compression_bomb_costs_little_memory() {
    let engine = Engine::start("bomb");
    let before = engine.memory_bytes();
    let bomb = bomb_gzip();
    for path in ["/v1/traces", "/v1/logs", "/v1/metrics"] {
        for kind in [PROTOBUF, JSON] {
            let headers = [("content-type", kind), ("content-encoding", "gzip")];
            let reply = http::post(&format!("{}{path}", engine.otlp_http), &headers, bomb.clone());
            assert!([400, 413].contains(&reply.status), "{path} {kind}: {} {}", reply.status, reply.text());
        }
    }
    let grown = engine.memory_bytes().saturating_sub(before) / (1 << 20);
    assert!(grown < 200, "six bombs of 1 GiB made the engine grow by {grown} MiB");
    still_works(&engine);
}

#[test]
fn far_off_times_harm_nothing() {
    let engine = Engine::start("far_off_times");
    for at in [0, 1, u64::MAX, 1 << 63, 4_102_444_800_000_000_000] {
        for (signal, body) in [
            ("metrics", otlp::gauge("shop", "odd", &[(at, 1.0)])),
            ("logs", otlp::logs("shop", &[(at, "odd")])),
            ("traces", otlp::spans("shop", &[otlp::span(1, "/odd", at.min(1 << 62), 1)])),
        ] {
            let reply = engine.send_otlp(signal, &body);
            assert!([200, 400].contains(&reply.status), "{signal} at {at}: {} {}", reply.status, reply.text());
        }
    }
    still_works(&engine);
    engine.post("/-/flush", &[], "").ok();
    engine.post("/-/compact", &[], "").ok();
    still_works(&engine);
}

#[test]
fn slow_clients_block_nobody_and_are_closed() {
    let engine = Engine::start("slow_clients");
    let address = engine.url.trim_start_matches("http://").to_owned();
    let mut slow: Vec<TcpStream> = (0..300).filter_map(|_| TcpStream::connect(&address).ok()).collect();
    for stream in &mut slow {
        let _ = stream.write_all(b"POST /v1/traces HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    }
    still_works(&engine);
    let mut open = slow.len();
    wait::until("the slow clients to be closed", 90, || {
        for stream in &mut slow {
            let _ = stream.write_all(b"a");
        }
        slow.retain_mut(is_open);
        open = slow.len();
        std::thread::sleep(Duration::from_millis(200));
        if open == 0 { Ok(()) } else { Err(open) }
    });
    still_works(&engine);
}

#[test]
fn odd_samples_cost_themselves_alone() {
    let engine = Engine::start("odd_samples");
    let now_ms = (wait::now_ns() / 1_000_000) as i64;
    // A payload of our own: neither the stale marker nor the usual one.
    let odd = f64::from_bits(0x7ff8_0000_dead_beef);
    let long = "x".repeat(10 << 20);
    let series = [
        Series::new(&[("__name__", "kept"), ("job", "odd")], vec![(now_ms - 2_000, 1.0), (now_ms - 1_000, odd)]),
        Series::new(&[("__name__", "twice"), ("job", "odd")], vec![(now_ms, 1.0), (now_ms, 2.0), (now_ms, 1.0)]),
        Series::new(&[("__name__", "late"), ("job", "odd")], vec![(now_ms, 1.0), (now_ms - 7_200_000, 2.0)]),
        Series::new(&[("__name__", "long"), ("job", &long)], vec![(now_ms, 1.0)]),
        Series::new(&[("__name__", "ahead"), ("job", "odd")], vec![(now_ms + 86_400_000, 1.0)]),
    ];
    let before = engine.memory_bytes();
    let headers = [("content-type", PROTOBUF), ("content-encoding", "snappy")];
    let reply = engine.post("/api/v1/write", &headers, remote_write::request(&series));
    assert_eq!(reply.status, 400, "{}", reply.text());
    for why in ["duplicate_timestamp", "out_of_order", "label_limit", "too_far_in_future"] {
        assert!(reply.text().contains(&format!("1 {why}")), "{why} in {}", reply.text());
    }
    assert!(reply.body.len() < 4096, "the reason is {} bytes long", reply.body.len());
    for (query, expect) in
        [("count_over_time(kept[1m])", 2.0), ("twice", 1.0), ("late", 1.0), ("count({job=\"odd\"})", 3.0)]
    {
        wait::until(
            query,
            10,
            || if engine.number(query) == Some(expect) { Ok(()) } else { Err(engine.number(query)) },
        );
    }
    let grown = engine.memory_bytes().saturating_sub(before) / (1 << 20);
    assert!(grown < 100, "a label of 10 MiB made the engine grow by {grown} MiB");
    let exploding = [r#"{job=~"((((a{100}){100}){100}){100})+"}"#, r#"{job=~"(x+x+)+y"}"#];
    for query in exploding {
        let reply = engine.get("/api/v1/query", &[("query", query)]);
        assert!([200, 400, 422].contains(&reply.status), "{query}: {} {}", reply.status, reply.text());
    }
    still_works(&engine);
}

#[test]
fn a_target_that_never_ends_is_down_and_nothing_else_is() {
    let flood = target(|stream| stream.write_all(format!("10000\r\n{}\r\n", "a 1\n".repeat(16_384)).as_bytes()));
    let drip = target(|stream| {
        std::thread::sleep(Duration::from_millis(50));
        stream.write_all(b"4\r\na 1\n\r\n")
    });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let jobs = format!(
        "- {{ job_name: flood, static_configs: [{{ targets: ['{flood}'] }}] }}\n- {{ job_name: drip, static_configs: [{{ targets: ['{drip}'] }}] }}\n"
    );
    let scrape = format!("global: {{ scrape_interval: 2s, scrape_timeout: 1s }}\nscrape_configs:\n{jobs}");
    std::fs::write(folder.path().join("prometheus.yml"), scrape).expect("written");
    std::fs::write(folder.path().join("apm.yaml"), "version: 1\nobserve: { scrape: prometheus.yml }\n")
        .expect("written");
    let config = folder.path().join("apm.yaml");
    let engine = Engine::start_with("endless_targets", &["--config", config.to_str().expect("UTF-8")], &[]);
    let down = |job: &str| {
        wait::until(&format!("{job} to be down"), 30, || {
            match engine.number(&format!("count_over_time(up{{job=\"{job}\"}}[1m])")) {
                Some(seen) if seen >= 3.0 => Ok(()),
                seen => Err(seen),
            }
        });
        assert_eq!(engine.number(&format!("max_over_time(up{{job=\"{job}\"}}[1m])")), Some(0.0), "{job}");
    };
    down("flood");
    down("drip");
    let held = engine.memory_bytes() / (1 << 20);
    assert!(held < 300, "a body without an end holds {held} MiB");
    still_works(&engine);
}

/// An endless answer of chunks, for whoever asks; its address.
fn target(next: fn(&mut TcpStream) -> std::io::Result<()>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { continue };
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
                let mut going = stream.write_all(head);
                while going.is_ok() {
                    going = next(&mut stream);
                }
            });
        }
    });
    address
}

/// Whether the other side still holds the connection: a close shows as an end or an error, an answer such as 408 is read away first.
fn is_open(stream: &mut TcpStream) -> bool {
    let mut buffer = [0; 4096];
    let _ = stream.set_nonblocking(true);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }
}

/// A good record goes in and is found.
fn still_works(engine: &Engine) {
    let now = wait::now_ns();
    engine.send_otlp("metrics", &otlp::gauge("alive", "alive", &[(now, now as f64)])).ok();
    wait::until("a good sample to be found", 10, || match engine.number("last_over_time(alive[1m])") {
        Some(value) if value >= now as f64 => Ok(()),
        other => Err(other),
    });
    assert_eq!(engine.get("/-/ready", &[]).status, 200);
}

/// 1 GiB of zeros, gzipped to about 1 MB.
fn bomb_gzip() -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let block = vec![0_u8; 1 << 20];
    for _ in 0..1024 {
        encoder.write_all(&block).expect("a vector takes everything");
    }
    encoder.finish().expect("a vector takes everything")
}

/// A snappy block that claims to be 4 GiB - 1 long.
fn bomb_snappy() -> Vec<u8> {
    let mut block = vec![0xff, 0xff, 0xff, 0xff, 0x0f];
    block.extend_from_slice(&[0xfe; 64]);
    block
}
