//! Load in OTLP's protobuf form: spans and log lines as a web shop with twenty services would send them. Field numbers are those of
//! opentelemetry-proto 1.x. It sends nothing.

use super::protobuf::Message;

/// Spans or lines in one request: what an SDK's batch processor sends at most by default.
pub(super) const BATCH: u64 = 512;
const SERVICES: u64 = 20;
const ROUTES: [&str; 8] =
    ["/", "/cart", "/cart/items", "/checkout", "/login", "/search", "/product/:id", "/orders/:id"];

/// A trace request of `BATCH` spans, traces of eight spans each; `number` makes ids unique.
pub(super) fn spans(number: u64, now_ns: u64) -> Vec<u8> {
    let spans = (0..BATCH).fold(Message::default().bytes(1, &scope().0), |scoped, at| {
        let id = number * BATCH + at + 1;
        let trace = mix(id / 8 + 1);
        let route = ROUTES[(mix(id) % 8) as usize];
        let mut span = Message::default().bytes(1, &[trace.to_be_bytes(), (id / 8 + 1).to_be_bytes()].concat());
        span = span.bytes(2, &id.to_be_bytes());
        if !id.is_multiple_of(8) {
            span = span.bytes(4, &(id - id % 8).to_be_bytes());
        }
        let start = now_ns - mix(id) % 1_000_000_000;
        span = span
            .bytes(5, format!("GET {route}").as_bytes())
            .varint(6, 2)
            .fixed64(7, start)
            .fixed64(8, start + mix(id) % 500_000_000);
        let texts = [
            ("http.request.method", "GET"),
            ("http.route", route),
            ("server.address", "shop.example.org"),
            ("url.scheme", "https"),
        ];
        span = texts.iter().fold(span, |span, (key, value)| span.bytes(9, &text(key, value)));
        span = span.bytes(9, &whole("http.response.status_code", if id.is_multiple_of(50) { 500 } else { 200 }));
        scoped.bytes(2, &span.0)
    });
    Message::default().bytes(1, &Message::default().bytes(1, &resource(number)).bytes(2, &spans.0).0).0
}

/// A log request of `BATCH` lines.
pub(super) fn lines(number: u64, now_ns: u64) -> Vec<u8> {
    let records = (0..BATCH).fold(Message::default().bytes(1, &scope().0), |scoped, at| {
        let id = number * BATCH + at + 1;
        let time = now_ns - (BATCH - at) * 1_000;
        let route = ROUTES[(mix(id) % 8) as usize];
        let line = format!(
            "level=info msg=\"request done\" method=GET path={route} status=200 duration_ms={} user={}",
            mix(id) % 900,
            mix(id) % 5000
        );
        let body = Message::default().bytes(1, line.as_bytes());
        let record =
            Message::default().fixed64(1, time).fixed64(11, time).varint(2, 9).bytes(3, b"INFO").bytes(5, &body.0);
        scoped.bytes(2, &record.bytes(9, &mix(id).to_be_bytes().repeat(2)).bytes(10, &id.to_be_bytes()).0)
    });
    Message::default().bytes(1, &Message::default().bytes(1, &resource(number)).bytes(2, &records.0).0).0
}

fn resource(number: u64) -> Vec<u8> {
    let service = number % SERVICES;
    let pairs = [
        ("service.name", format!("service-{service}")),
        ("service.version", "1.4.2".to_owned()),
        ("service.instance.id", format!("service-{service}-7c9f8d6b5-{:05x}", mix(service) % 0xf_ffff)),
        ("deployment.environment.name", "prod".to_owned()),
        ("host.name", format!("node-{}", service % 4)),
    ];
    pairs.iter().fold(Message::default(), |resource, (key, value)| resource.bytes(1, &text(key, value))).0
}

fn scope() -> Message {
    Message::default().bytes(1, b"bench").bytes(2, b"1.0")
}

fn text(key: &str, value: &str) -> Vec<u8> {
    Message::default().bytes(1, key.as_bytes()).bytes(2, &Message::default().bytes(1, value.as_bytes()).0).0
}

fn whole(key: &str, value: u64) -> Vec<u8> {
    Message::default().bytes(1, key.as_bytes()).bytes(2, &Message::default().varint(3, value).0).0
}

/// SplitMix64 (Steele, Lea, Flood 2014): numbers that look random and are the same in every run.
pub(super) fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
