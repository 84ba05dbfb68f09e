//! Releases behind a front: nobody notices the switch, not even when `apm` is killed in its middle; a bad version is taken back at once, and
//! a bad canary has hurt only the few who met it.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests_journeys::wait;

use super::customers::{Answer, Request, hurt};
use super::load::{Load, p99};
use super::shop::{BAKE, Shop, Stage, end};

/// The requirement's own.
const PER_SECOND: u32 = 500;
/// Enough to judge by, and not so much that a machine of two processors measures itself.
const JUDGED_PER_SECOND: u32 = 60;
/// Around the switch: connections are made anew, the old color is drained, the judge begins.
const SWITCH: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(2_500));

/// So much before a release counts as what is usual.
const BEFORE: Duration = Duration::from_secs(10);

/// Below this a difference is the machine's and not the switch's: client, front, service, engine and Docker share two processors, and the
/// new container was started a moment ago. A build without optimisation is no measure at all, but it must not stall either.
fn noise() -> Duration {
    let unoptimised = tests_journeys::engine::apm().components().any(|part| part.as_os_str() == "debug");
    Duration::from_millis(if unoptimised { 100 } else { 20 })
}

/// Where time is measured, no engine shares the machine: the service sends no telemetry, and the judge asks [`Elsewhere`].
const QUIET: &str = "  OTEL_SDK_DISABLED: \"true\"";

/// A Prometheus and a Loki on another machine, as it were: they take no processor from what is measured, and know nothing. So the judge cannot
/// decide, and while a person is waited for both containers run: what is measured is the switch, not Docker taking a container away.
struct Elsewhere(String);

impl Elsewhere {
    fn start() -> Elsewhere {
        use std::io::{Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        // Ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { return };
                thread::spawn(move || {
                    let mut head = [0; 16 << 10];
                    let count = stream.read(&mut head).unwrap_or(0);
                    let kind = if head[..count].windows(6).any(|six| six == b"/loki/") { "streams" } else { "matrix" };
                    let body = format!(r#"{{"status":"success","data":{{"resultType":"{kind}","result":[]}}}}"#);
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
                    let _ =
                        stream.write_all(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
                });
            }
        });
        Elsewhere(url)
    }

    /// Has this shop's judge ask here, for a short time.
    fn judges(&self, shop: &Shop) {
        let file = shop.home.path().join("apm.yaml");
        let settings = std::fs::read_to_string(&file).expect("settings");
        let here = format!("judge: {{ prometheus: \"{0}\", loki: \"{0}\", settings: {{ bake: 10s }} }}", self.0);
        std::fs::write(&file, settings.replace(&format!("judge: {{ {BAKE} }}"), &here)).expect("written");
    }
}

impl Shop<'_> {
    pub(crate) fn control(&self) -> PathBuf {
        self.home.path().join(format!("state/apm/fronts/shop-default-{}.sock", self.name))
    }

    /// Names and weights that the front has in force; empty when there is no front.
    fn sends(&self) -> Vec<(String, u64)> {
        let Some(state) = self.asked("GET", "/v1/state") else { return Vec::new() };
        let upstreams = state["upstreams"].as_array().cloned().unwrap_or_default();
        let inside = upstreams.iter().filter(|one| one["leaving"] != true);
        inside
            .map(|one| (one["name"].as_str().unwrap_or("?").to_owned(), one["weight"].as_u64().unwrap_or(0)))
            .collect()
    }

    /// What the front answers on its control socket.
    pub(crate) fn asked(&self, method: &str, path: &str) -> Option<Value> {
        use std::io::{Read as _, Write as _};
        let mut stream = std::os::unix::net::UnixStream::connect(self.control()).ok()?;
        let request =
            format!("{method} {path} HTTP/1.1\r\nhost: front\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
    }

    #[track_caller]
    fn until_it_sends(&self, expect: &[(&str, u64)]) -> Instant {
        wait::until("the front to send elsewhere", 120, || {
            let now = self.sends();
            let same = now.iter().map(|(name, weight)| (name.as_str(), *weight)).eq(expect.iter().copied());
            if same { Ok(Instant::now()) } else { Err(now) }
        })
    }

    /// The judge has nothing to go by, and so somebody is asked.
    #[track_caller]
    fn a_person_says_yes(&self, load: &Load) {
        // Nothing else is started while the switch is measured.
        load.good_answers(PER_SECOND as usize * 3);
        self.says("waiting");
        self.deploy(&["approve", "--reason", "looked at it"]).expect(0, &[]);
    }

    /// Which color runs which image, and that nothing else of the shop is there.
    #[track_caller]
    fn serves(&self, color: &str, version: &str) {
        let name = format!("{}-{color}", self.container());
        assert_eq!(self.containers(), std::slice::from_ref(&name));
        let said = self.docker.docker(&[
            "container",
            "inspect",
            "-f",
            "{{index .Config.Labels \"apm.image\"}} {{.State.Running}}",
            &name,
        ]);
        assert_eq!(said, format!("journey/store:{version} true"));
        let sends = self.sends();
        assert!(matches!(&sends[..], [(name, weight)] if name == color && *weight > 0), "{sends:?}");
    }
}

/// Version 1 behind a front, which the first release starts. Releases are judged from here on if wanted.
fn behind_a_front<'a>(stage: &'a Stage, name: &'static str, service: &str, deploy: &str) -> Shop<'a> {
    let shop = Shop::new(stage, name);
    shop.settings_behind_a_front("judged: false", service);
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    shop.serves("blue", "1");
    shop.settings_behind_a_front(deploy, service);
    shop
}

fn count(requests: &[Request], answer: Answer) -> usize {
    requests.iter().filter(|request| request.answer == answer).count()
}

/// When `apm deploy` was begun, and when the front switched.
type Switch = (Instant, Instant);

/// Nobody noticed: no request failed, and those around each switch took at most twice as long as those before the release. What is twice as
/// much as chance on this machine is told by the time before itself: the worst of its stretches that are as long as the switch.
fn nobody_noticed(stage: &Stage, name: &str, requests: &[Request], switches: &[Switch]) {
    let bad: Vec<_> = requests.iter().filter(|request| request.answer != Answer::Good).take(5).collect();
    let first = requests.first().expect("requests").at;
    let told: Vec<_> = bad.iter().map(|one| format!("{:?} after {:?}", one.answer, one.at - first)).collect();
    let switched: Vec<_> = switches.iter().map(|(_, at)| *at - first).collect();
    assert!(bad.is_empty(), "of {} requests some failed: {told:?}; switched after {switched:?}", requests.len());
    let length = SWITCH.0 + SWITCH.1;
    for (begun, at) in switches {
        let from = (first + Duration::from_secs(1)).max(*begun - BEFORE);
        let stretches =
            (0..).map(|n| from + Duration::from_millis(500) * n).take_while(|from| *from + length <= *begun);
        let usual =
            stretches.map(|from| p99(requests, from, from + length)).max().expect("they asked before the release");
        let during = p99(requests, *at - SWITCH.0, *at + SWITCH.1);
        let ratio = during.as_secs_f64() / usual.as_secs_f64();
        stage.note(&format!(
            "{name}: {} requests at {PER_SECOND}/s, none failed; p99 {:.2} ms before, {:.2} ms during the switch: {ratio:.2} times",
            requests.len(),
            usual.as_secs_f64() * 1e3,
            during.as_secs_f64() * 1e3,
        ));
        assert!(during <= (usual * 2).max(noise()), "{during:?} around the switch, {usual:?} before");
    }
}

pub(crate) fn a_switch_that_nobody_notices(stage: &Stage) {
    let shop = behind_a_front(stage, "switch", QUIET, "strategy: blue-green");
    Elsewhere::start().judges(&shop);
    let load = Load::of(shop.port, "/readyz", PER_SECOND);
    load.good_answers(PER_SECOND as usize * 10);
    let begun = Instant::now();
    let mut running = shop.begin(&["--version", "2"]);
    let switched = shop.until_it_sends(&[("green", 1)]);
    shop.a_person_says_yes(&load);
    end(&mut running).expect(0, &["complete"]);
    // And back, which is a release too.
    load.good_answers(PER_SECOND as usize * 5);
    let back_begun = Instant::now();
    let mut back = shop.begin(&["rollback", "--yes"]);
    let again = shop.until_it_sends(&[("blue", 1)]);
    shop.a_person_says_yes(&load);
    end(&mut back).expect(0, &["complete", "deploy switch 1 to default"]);
    load.good_answers(PER_SECOND as usize * 3);
    shop.serves("blue", "1");
    nobody_noticed(stage, "blue-green", &load.leave(), &[(begun, switched), (back_begun, again)]);
    // The settings alone choose blue-green where there is a front; what runs already is no release.
    shop.deploy(&["--version", "1"]).expect(4, &["switch 1 runs already"]);
    shop.deploy(&["--version", "2", "--strategy", "recreate"]).expect(4, &["stands behind a front"]);
}

pub(crate) fn killed_before_and_after_the_switch(stage: &Stage) {
    let shop = behind_a_front(stage, "killed", QUIET, "strategy: blue-green");
    Elsewhere::start().judges(&shop);
    let load = Load::of(shop.port, "/readyz", PER_SECOND);
    load.good_answers(PER_SECOND as usize * 10);
    let begun = Instant::now();
    let mut running = shop.begin(&["--version", "2"]);
    shop.until_it_sends(&[("blue", 1), ("green", 0)]);
    running.kill();
    let mut second = shop.begin(&["watch"]);
    let switched = shop.until_it_sends(&[("green", 1)]);
    second.kill();
    let mut third = shop.begin(&["watch"]);
    shop.a_person_says_yes(&load);
    end(&mut third).expect(0, &["goes on with it", "complete"]);
    load.good_answers(PER_SECOND as usize);
    shop.serves("green", "2");
    nobody_noticed(stage, "blue-green, apm killed twice", &load.leave(), &[(begun, switched)]);
}

pub(crate) fn a_bad_version_is_taken_back(stage: &Stage) {
    let shop = behind_a_front(stage, "taken", "", "strategy: blue-green");
    let load = Load::of(shop.port, "/quotes/AAPL", JUDGED_PER_SECOND);
    load.good_answers(JUDGED_PER_SECOND as usize * 30);
    let begun = Instant::now();
    let mut running = shop.begin(&["--version", "errors"]);
    shop.until_it_sends(&[("green", 1)]);
    end(&mut running).expect(1, &["rolled-back: undone, because"]);
    shop.serves("blue", "1");
    load.good_answers(JUDGED_PER_SECOND as usize * 2);
    let requests = load.leave();
    let hurt_s = hurt(&requests, begun).expect("the bad version was met").as_secs_f64();
    let (errors, nothing) = (count(&requests, Answer::Error), count(&requests, Answer::Nothing));
    stage.note(&format!(
        "blue-green: a bad version hurt {errors} requests for {hurt_s:.1} s, and then the old one served"
    ));
    assert!(hurt_s < 30.0, "people were hurt for {hurt_s:.1} s");
    assert_eq!(nothing, 0, "some were not answered at all");
}

/// Behind a front both versions run, each in a container of its own name: what the new one holds is told from what the old one does.
pub(crate) fn a_leak_behind_a_front_is_noticed(stage: &Stage) {
    let limit = "strategy: blue-green\nmemory: 72 MiB";
    let mut shop = Shop::new(stage, "brimful");
    // Short of memory it is slow as well; it is its memory that has to be noticed.
    let lenient = "settings: { bake: 60s, metrics: { latency_p95: { allowed_increase: 50, critical_increase: 60 } } }";
    shop.judge = lenient.to_owned();
    shop.settings_behind_a_front(&format!("judged: false\n{limit}"), "");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    shop.settings_behind_a_front(limit, "");
    let load = Load::of(shop.port, "/quotes/AAPL", 10);
    load.good_answers(100);
    shop.deploy(&["--version", "leak"]).expect(1, &["rolled-back: undone, because"]);
    let status = shop.deploy(&["status"]).expect(1, &["rolled-back: undone, because"]).text;
    let why = status.lines().find(|line| line.contains("undone, because")).unwrap_or_default();
    stage.note(&format!("a leak behind a front: {why}"));
    assert!(why.contains("s: memory "), "not by its memory:\n{status}");
    shop.serves("blue", "1");
    drop(load);
}

pub(crate) fn a_bad_canary_hurts_few(stage: &Stage) {
    let shop = behind_a_front(stage, "canary", "", "strategy: canary\ncanary: { steps: [10, 50, 100], bake: 60s }");
    let load = Load::of(shop.port, "/quotes/AAPL", JUDGED_PER_SECOND);
    load.good_answers(JUDGED_PER_SECOND as usize * 30);
    let begun = Instant::now();
    // It never gets further than its first step: that it does is seen from outside.
    let (over, further) = (AtomicBool::new(false), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                let beyond = shop.sends().iter().any(|(name, weight)| name == "green" && *weight > 10);
                further.fetch_or(beyond, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut running = shop.begin(&["--version", "errors"]);
        shop.until_it_sends(&[("blue", 90), ("green", 10)]);
        let ended = end(&mut running);
        over.store(true, Ordering::Relaxed);
        ended.expect(1, &["rolled-back: undone, because"]);
    });
    assert!(!further.load(Ordering::Relaxed), "the bad version got more than its first share");
    shop.serves("blue", "1");
    load.good_answers(JUDGED_PER_SECOND as usize * 2);
    let requests = load.leave();
    let hurt_s = hurt(&requests, begun).expect("the bad version was met").as_secs_f64();
    let since: Vec<_> = requests.iter().filter(|request| request.at >= begun).copied().collect();
    let (errors, nothing) = (count(&since, Answer::Error), count(&since, Answer::Nothing));
    let of = (hurt_s * f64::from(JUDGED_PER_SECOND)).max(1.0);
    let share = errors as f64 / of * 100.0;
    stage.note(&format!(
        "canary: {errors} requests failed, {share:.1} % of those in {hurt_s:.1} s; then the old version served alone"
    ));
    assert!(errors > 0 && nothing == 0, "{errors} errors, {nothing} without an answer");
    // A tenth goes to it, of which three in ten fail: 3 %, with room for chance.
    assert!(share < 8.0, "{share:.1} % of the requests failed");
    // Told by its own version, not by the service as a whole: the judge has seen the two side by side.
    let status = shop.deploy(&["status"]).expect(1, &["judge-10"]).text;
    assert!(status.contains(" of 1,") || status.contains("against"), "{status}");
}
