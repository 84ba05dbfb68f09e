//! For tests of what is judged: a server that answers as a Prometheus and a Loki would of one service, a judge that says what it was told to say, and a clock
//! that a test moves. It reads no expression but by a word or two.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use app_adapt::{Places, Request, Telemetry};
use async_trait::async_trait;
use base_world::{Clock, World};
use operate_execute::{Context, Judge, Judgement, Ruling};
use operate_plan::Failure;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The system's clock, so many milliseconds ahead.
#[derive(Clone)]
pub(crate) struct Hands(Arc<dyn Clock>, Arc<AtomicI64>);

impl Hands {
    pub(crate) fn ahead(ms: i64) -> Hands {
        Hands(World::real().clock, Arc::new(AtomicI64::new(ms)))
    }

    pub(crate) fn moved(&self, ms: i64) {
        self.1.fetch_add(ms, Ordering::Relaxed);
    }

    pub(crate) fn world(&self) -> World {
        World { clock: Arc::new(self.clone()), ..World::real() }
    }
}

impl Clock for Hands {
    fn now_ns(&self) -> i64 {
        self.0.now_ns() + self.1.load(Ordering::Relaxed) * 1_000_000
    }

    fn monotonic_ns(&self) -> u64 {
        self.0.monotonic_ns()
    }
}

/// Lets every release begin; of one that serves it says the next of these, a while after it was asked. With none left it passes it.
pub(crate) struct Says {
    pub(crate) rulings: Mutex<VecDeque<Ruling>>,
    pub(crate) clock: Hands,
    pub(crate) takes_ms: i64,
}

#[async_trait]
impl Judge for Says {
    async fn judge(&self, _: &Context, request: &Value, _: i64) -> Result<Judgement, Failure> {
        let pass = || Ruling::Pass { sentence: "it does well".into() };
        if matches!(serde_json::from_value(request.clone()), Ok(Request::Before { .. })) {
            return Ok(pass().into());
        }
        self.clock.moved(self.takes_ms);
        Ok(self.rulings.lock().pop_front().unwrap_or_else(pass).into())
    }
}

/// How a service does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doing {
    Well,
    /// A third of the requests fails from this moment on, and it says so.
    FailsSince(i64),
    /// Nothing is known of it.
    Unknown,
    /// Nothing can be known: every question is refused.
    Refused,
}

/// What answers for it.
pub(crate) struct Oracle {
    pub(crate) url: String,
    doing: Arc<Mutex<Doing>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Oracle {
    pub(crate) async fn start(doing: Doing) -> Oracle {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let (doing, asked) = (Arc::new(Mutex::new(doing)), Arc::new(Mutex::new(Vec::new())));
        let (now, remember) = (Arc::clone(&doing), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, *now.lock(), Arc::clone(&remember)));
            }
        });
        Oracle { url, doing, asked }
    }

    pub(crate) fn does(&self, doing: Doing) {
        *self.doing.lock() = doing;
    }

    /// Expressions that it was asked.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    pub(crate) fn telemetry(&self) -> Telemetry {
        Telemetry::new(&Places { engine: self.url.clone(), ..Places::default() }).expect("a client")
    }
}

async fn serve(mut stream: TcpStream, doing: Doing, asked: Arc<Mutex<Vec<String>>>) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => return,
        }
    }
    let head = String::from_utf8_lossy(&bytes).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let parameter = |name: &str| {
        let found = form_urlencoded::parse(query.as_bytes()).find(|(known, _)| known == name);
        found.map(|(_, value)| value.into_owned()).unwrap_or_default()
    };
    let (expression, number) = (parameter("query"), |name: &str| parameter(name).parse::<f64>().unwrap_or(0.0));
    asked.lock().push(expression.clone());
    let (status, body) = match (doing, path) {
        (Doing::Refused, _) => (503, json!({"status": "error", "error": "out of memory"})),
        (_, "/api/v1/query_range") => {
            let result = series(doing, &expression, number("start"), number("end"), number("step"));
            (200, json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
        }
        _ => {
            let line = json!([format!("{:.0}", number("end") - 1e9), "ERROR the till is stuck"]);
            let values = if matches!(doing, Doing::FailsSince(_)) { json!([line]) } else { json!([]) };
            let result = json!([{"stream": {"service_name": "cart"}, "values": values}]);
            (200, json!({"status": "success", "data": {"resultType": "streams", "result": result}}))
        }
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // Who leaves early has its reasons.
    let _ = stream.write_all(format!("{head}{body}").as_bytes()).await;
}

/// Twenty requests a second, each of 20 ms; all else is known of nobody.
fn series(doing: Doing, expression: &str, start_s: f64, end_s: f64, step_s: f64) -> Value {
    let is_bad = |at_s: f64| matches!(doing, Doing::FailsSince(ms) if at_s * 1_000.0 > ms as f64);
    let one = |labels: Value, value: &dyn Fn(f64) -> f64| {
        let steps = ((end_s - start_s) / step_s.max(1.0)).round() as usize;
        let at = |step: usize| start_s + step as f64 * step_s.max(1.0);
        let values: Vec<Value> = (0..=steps).map(|step| json!([at(step), value(at(step)).to_string()])).collect();
        json!({"metric": labels, "values": values})
    };
    match expression {
        _ if doing == Doing::Unknown => json!([]),
        calls if calls.contains("by (status_code)") => {
            let errors = |at_s| if is_bad(at_s) { 7.0 } else { 0.0 };
            json!([
                one(json!({"status_code": "STATUS_CODE_UNSET"}), &|at_s| 20.0 - errors(at_s)),
                one(json!({"status_code": "STATUS_CODE_ERROR"}), &errors),
            ])
        }
        latency if latency.contains("by (le)") => {
            let buckets = [("0.01", 0.0), ("0.025", 20.0), ("0.1", 20.0), ("+Inf", 20.0)];
            buckets.iter().map(|(le, count)| one(json!({"le": le}), &|_| *count)).collect()
        }
        _ => json!([]),
    }
}
