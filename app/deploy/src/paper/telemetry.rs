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

use crate::paper::http::{Asked, Server};

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
    server: Server,
    doing: Arc<Mutex<Doing>>,
}

impl Oracle {
    pub(crate) async fn start(doing: Doing) -> Oracle {
        let doing = Arc::new(Mutex::new(doing));
        let now = Arc::clone(&doing);
        let server = Server::start(move |asked| {
            let (status, body) = answer(*now.lock(), asked);
            (status, body.to_string())
        });
        Oracle { server: server.await, doing }
    }

    pub(crate) fn does(&self, doing: Doing) {
        *self.doing.lock() = doing;
    }

    pub(crate) fn was_asked(&self) -> bool {
        !self.server.asked().is_empty()
    }

    pub(crate) fn telemetry(&self) -> Telemetry {
        Telemetry::new(&Places { engine: self.server.url.clone(), ..Places::default() }).expect("a client")
    }
}

fn answer(doing: Doing, asked: &Asked) -> (u16, Value) {
    let number = |name: &str| asked.parameter(name).parse::<f64>().unwrap_or(0.0);
    match asked.path() {
        _ if doing == Doing::Refused => (503, json!({"status": "error", "error": "out of memory"})),
        "/api/v1/query_range" => {
            let result = series(doing, &asked.parameter("query"), number("start"), number("end"), number("step"));
            (200, json!({"status": "success", "data": {"resultType": "matrix", "result": result}}))
        }
        _ => {
            let line = json!([format!("{:.0}", number("end") - 1e9), "ERROR the till is stuck"]);
            let values = if matches!(doing, Doing::FailsSince(_)) { json!([line]) } else { json!([]) };
            let result = json!([{"stream": {"service_name": "cart"}, "values": values}]);
            (200, json!({"status": "success", "data": {"resultType": "streams", "result": result}}))
        }
    }
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
