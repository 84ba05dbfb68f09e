//! How the API of deployments bears many at once: deployments that run on worlds in memory, watchers that each follow one of them, a long
//! history, and people who look at lists, runs, plans and journals all the while. Prints what they waited and what the process weighs.
//! `cargo xtask bench deployments` runs it. The engine is a real one behind a real port; the deployments are another process's as far as it
//! knows (they write the same history), which is the slower of the two ways.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench: it measures real time, prints, and ends with what goes wrong"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use app_deploy::{DockerSurroundings, KeeperOptions, Project};
use base_http::{Client, HttpConfig, Limits};
use base_world::World;
use futures_util::StreamExt as _;
use operate_execute::{
    Begun, Command, Context, Event, Executor, History as _, Judge, Judgement, NewRun, Order, Ruling, RunId, Seal,
    Settings, Status, Tell,
};
use operate_history::SqlHistory;
use operate_plan::{Act, Condition, Draft, Failure, Inventory, ObjectId, OnFailure, Plan, Severity, Step, Work};
use operate_target_fake::{Crash, FakeWorld, Faults};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

/// Tries to watch that were refused.
static REFUSED: AtomicUsize = AtomicUsize::new(0);

/// Runs whose lease lapsed.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// How much of everything.
struct Size {
    rows: usize,
    deployments: usize,
    watchers: usize,
    askers: usize,
    seconds: u64,
}

const FULL: Size = Size { rows: 10_000, deployments: 100, watchers: 1_000, askers: 8, seconds: 60 };
const SMOKE: Size = Size { rows: 200, deployments: 10, watchers: 50, askers: 4, seconds: 5 };

struct Passes;

#[async_trait::async_trait]
impl Judge for Passes {
    async fn judge(&self, _: &Context, _: &Value, _: i64) -> Result<Judgement, Failure> {
        Ok(Ruling::Pass { sentence: "all is well".into() }.into())
    }
}

struct Quiet;

impl Tell for Quiet {
    fn tell(&self, _: &RunId, _: Severity, _: &str) {}
}

fn now_ms() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    i64::try_from(now.as_millis()).expect("in this age")
}

/// Eight changes one after the other, half a second apart, as a small release has them.
fn plan(target: &str) -> Plan {
    let object = ObjectId::new("thing", "cart");
    let step = |number: usize| {
        let with = json!({"version": number});
        let act = Act { verb: "put".into(), object: object.clone(), with: with.clone(), touches: vec![object.clone()] };
        let mut step = Step::new(format!("s{number}"), format!("change {number}"), Work::Act(act));
        step.verify = vec![Condition { says: "it is so".into(), verb: "equals".into(), object: object.clone(), with }];
        (step.stage, step.component) = ("deploying".into(), "cart".into());
        if let Some(before) = number.checked_sub(1) {
            step.after = vec![format!("s{before}").as_str().into()];
        }
        step
    };
    let labels = [("service", "cart"), ("environment", "prod"), ("version", "2")];
    let draft = Draft {
        title: format!("deploy cart 2 to {target}"),
        reason: String::new(),
        target: target.into(),
        labels: labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        made_ms: 0,
        time_limit_ms: 600_000,
        on_failure: OnFailure::Undo,
        steps: (0..8).map(step).collect(),
    };
    Plan::new(draft, &Inventory::new(target))
}

fn command() -> Command {
    Command { order: Order::Resume, actor: "ann".into(), reason: "a bench".into() }
}

/// Runs of long ago.
async fn fill(history: &SqlHistory, rows: usize) {
    for number in 0..rows {
        let target = format!("old-{}", number % 50);
        let (plan, run) = (plan(&target), RunId(format!("old-{number}")));
        let new = NewRun { run: &run, plan: &plan, command: &command() };
        let begun = history.begin(new, now_ms(), "apm", 1).await.expect("begun");
        // Its lease is over in a millisecond, so that the next one gets the target.
        let Begun::Got(fence) = begun else { panic!("{begun:?}") };
        let ended = Event::Ended { status: Status::Complete, sentence: "done".into() };
        history.append(&run, fence, now_ms(), ended).await.expect("kept");
        history.release(&target, fence).await.expect("released");
    }
}

/// One deployment after the other on a target of its own; the newest run stands in `current`.
async fn deploy(
    world: World,
    history: SqlHistory,
    number: usize,
    current: Arc<Mutex<Vec<RunId>>>,
    until: Instant,
) -> usize {
    let target = format!("t{number}");
    let faults = Faults::none();
    let fake = FakeWorld::new(BTreeMap::new(), faults, Arc::new(Crash::default()), Arc::clone(&world.clock));
    let executor = Executor {
        history: Arc::new(history.clone()),
        target: Arc::new(fake.slow(400)),
        judge: Arc::new(Passes),
        tell: Arc::new(Quiet),
        clock: Arc::clone(&world.clock),
        seal: Arc::new(Seal::new(&[7; 32], Arc::clone(&world.random)).expect("a key")),
        holder: format!("apm {number}"),
        settings: Settings::default(),
        watch: tokio::sync::broadcast::channel(16).0,
    };
    let mut done = 0;
    while Instant::now() < until {
        let (plan, run) = (plan(&target), RunId(format!("run-{number}-{done}")));
        let new = NewRun { run: &run, plan: &plan, command: &command() };
        let begun = history.begin(new, now_ms(), &executor.holder, 15_000).await.expect("begun");
        let Begun::Got(fence) = begun else { panic!("{begun:?}") };
        if let Some(place) = current.lock().get_mut(number) {
            *place = run.clone();
        }
        match executor.run_begun(&run, fence).await {
            Ok(ended) => assert_eq!(ended, Status::Complete),
            // A machine so busy that a lease lapses: whoever looks next goes on with the run, and the bench says so.
            Err(_) => {
                LOST.fetch_add(1, Ordering::Relaxed);
                return done;
            }
        }
        done += 1;
    }
    done
}

/// Follows whatever run its deployment has, one after the other; how old each event was when it came.
async fn watch(address: String, number: usize, current: Arc<Mutex<Vec<RunId>>>, until: Instant) -> Vec<u64> {
    let mut ages = Vec::new();
    let mut seen = RunId(String::new());
    while Instant::now() < until {
        let run = current.lock().get(number).cloned().unwrap_or(RunId(String::new()));
        if run == seen || run.0.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        seen = run.clone();
        let Ok(mut peer) = tokio::net::TcpStream::connect(&address).await else {
            REFUSED.fetch_add(1, Ordering::Relaxed);
            seen = RunId(String::new());
            continue;
        };
        let request = format!("GET /apm/v1/deployments/{run}/watch HTTP/1.1\r\nhost: {address}\r\n\r\n");
        peer.write_all(request.as_bytes()).await.expect("sent");
        let begun_ms = now_ms();
        let mut lines = BufReader::new(peer).lines();
        while let Ok(Ok(Some(line))) =
            tokio::time::timeout(until.saturating_duration_since(Instant::now()), lines.next_line()).await
        {
            if line.starts_with("HTTP/1.1 503") {
                REFUSED.fetch_add(1, Ordering::Relaxed);
                seen = RunId(String::new());
                tokio::time::sleep(Duration::from_millis(20)).await;
                break;
            }
            let Some(data) = line.strip_prefix("data: ") else { continue };
            let event: Value = serde_json::from_str(data).expect("JSON");
            let at_ms = event["at_ms"].as_i64().expect("a moment");
            // What stood there before it came is no news.
            if at_ms > begun_ms {
                ages.push(u64::try_from(now_ms() - at_ms).unwrap_or(0));
            }
            if event["kind"] == "ended" {
                break;
            }
        }
    }
    ages
}

/// The same over a WebSocket.
async fn watch_socket(address: String, number: usize, current: Arc<Mutex<Vec<RunId>>>, until: Instant) -> Vec<u64> {
    let mut ages = Vec::new();
    let mut seen = RunId(String::new());
    while Instant::now() < until {
        let run = current.lock().get(number).cloned().unwrap_or(RunId(String::new()));
        if run == seen || run.0.is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        seen = run.clone();
        let url = format!("ws://{address}/apm/v1/deployments/{run}/ws?last-event-id=0");
        let Ok((mut socket, _)) = tokio_tungstenite::connect_async(&url).await else {
            // No place yet: whoever watched before goes a moment later than his run ends.
            REFUSED.fetch_add(1, Ordering::Relaxed);
            seen = RunId(String::new());
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let begun_ms = now_ms();
        while let Ok(Some(Ok(message))) =
            tokio::time::timeout(until.saturating_duration_since(Instant::now()), socket.next()).await
        {
            let tokio_tungstenite::tungstenite::Message::Text(text) = message else { continue };
            let told: Value = serde_json::from_str(&text).expect("JSON");
            let event = &told["entry"];
            let at_ms = event["at_ms"].as_i64().expect("a moment");
            if at_ms > begun_ms {
                ages.push(u64::try_from(now_ms() - at_ms).unwrap_or(0));
            }
            if event["kind"] == "ended" {
                break;
            }
        }
        // The engine says goodbye by itself after the last entry.
        let _ = tokio::time::timeout(Duration::from_secs(1), async { while let Some(Ok(_)) = socket.next().await {} })
            .await;
    }
    ages
}

/// Looks at everything in turn; how long each answer took, by what was asked.
async fn ask(url: String, number: usize, current: Arc<Mutex<Vec<RunId>>>, until: Instant) -> Vec<(&'static str, u64)> {
    let client = Client::new(HttpConfig::default()).expect("a client");
    let limits = Limits { timeout: Duration::from_secs(30), body_bytes: 16 << 20 };
    let mut took = Vec::new();
    let mut turn = number;
    while Instant::now() < until {
        turn += 1;
        let run = {
            let runs = current.lock();
            runs.get(turn % runs.len()).cloned()
        };
        let run = run.filter(|run| !run.0.is_empty()).unwrap_or(RunId("old-1".into()));
        let (name, path) = match turn % 6 {
            0 => ("list", "deployments?limit=50".to_owned()),
            1 => ("list by service", "deployments?service=cart&environment=prod".to_owned()),
            2 => ("list, deep", "deployments?limit=50&before=old-100".to_owned()),
            3 => ("one", format!("deployments/{run}")),
            4 => ("plan", format!("deployments/{run}/plan")),
            _ => ("events", format!("deployments/{run}/events")),
        };
        let begun = Instant::now();
        let answer = client.get(&format!("{url}/apm/v1/{path}"), &[], limits).await.expect("an answer");
        assert_eq!(answer.status, 200, "{path}");
        took.push((name, u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX)));
        // A person or a page looks now and then, not all the time.
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    took
}

fn rss_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1024
}

fn rank(sorted: &[u64], percent: usize) -> u64 {
    let position = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(position).copied().unwrap_or(0)
}

async fn engine(folder: &std::path::Path, history: &std::path::Path) -> app_serve::Running {
    let mut settings = app_serve::Settings::default();
    settings.server.listen = "127.0.0.1:0".into();
    (settings.server.otlp_grpc, settings.server.otlp_http) = ("off".into(), "off".into());
    settings.observe.host_metrics = false;
    let nowhere = format!("unix://{}", folder.join("docker.sock").display());
    let started = app_serve::start(app_serve::Options {
        settings,
        data_dir: folder.join("data"),
        state_home: folder.join("state"),
        tokens: app_api::Tokens::default(),
        scrape: app_serve::ScrapePlan::default(),
        reload: Box::new(|| Ok(app_serve::ScrapePlan::default())),
        deploy: KeeperOptions {
            history: history.display().to_string(),
            state_folder: folder.join("key"),
            program: "apm".into(),
            docker: DockerSurroundings { docker_host: Some(nowhere), ..DockerSurroundings::default() },
            kube: Default::default(),
            project: Box::new(|_| Ok(Project::default())),
            owner: "ann".into(),
        },
        demo: false,
    });
    started.await.unwrap_or_else(|_| panic!("the engine did not start"))
}

#[tokio::main(flavor = "multi_thread")]
async fn main() {
    let size = if std::env::args().any(|word| word == "full") { FULL } else { SMOKE };
    let folder = tempfile::tempdir().expect("a folder");
    let place = folder.path().join("history.db");
    let world = World::real();
    let history = SqlHistory::open(&*world.disk, &place.display().to_string()).await.expect("a history");
    let begun = Instant::now();
    fill(&history, size.rows).await;
    println!("{} runs of long ago were kept in {:.1} s", size.rows, begun.elapsed().as_secs_f64());
    let running = engine(folder.path(), &place).await;
    let url = running.entry.url.clone();
    let address = url.trim_start_matches("http://").to_owned();

    let until = Instant::now() + Duration::from_secs(size.seconds);
    let current = Arc::new(Mutex::new(vec![RunId(String::new()); size.deployments]));
    let deploying: Vec<_> = (0..size.deployments)
        .map(|number| tokio::spawn(deploy(world.clone(), history.clone(), number, Arc::clone(&current), until)))
        .collect();
    let watching: Vec<_> = (0..size.watchers)
        .map(|number| {
            let (address, current, deployment) = (address.clone(), Arc::clone(&current), number / 2 % size.deployments);
            // One half as a page watches, the other as a program does.
            match number % 2 {
                0 => tokio::spawn(watch(address, deployment, current, until)),
                _ => tokio::spawn(watch_socket(address, deployment, current, until)),
            }
        })
        .collect();
    let asking: Vec<_> = (0..size.askers)
        .map(|number| tokio::spawn(ask(url.clone(), number * 7, Arc::clone(&current), until)))
        .collect();
    let mut weights = Vec::new();
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_secs(size.seconds) / 4).await;
        weights.push(rss_mib());
    }
    let (mut ages, mut by_kind) = (Vec::new(), [Vec::new(), Vec::new()]);
    for (number, one) in watching.into_iter().enumerate() {
        let found = one.await.expect("a watcher");
        if let Some(kind) = by_kind.get_mut(number % 2) {
            kind.extend(found.iter().copied());
        }
        ages.extend(found);
    }
    let mut took: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for one in asking {
        for (name, us) in one.await.expect("an asker") {
            took.entry(name).or_default().push(us);
            took.entry("all").or_default().push(us);
        }
    }
    let mut done = 0;
    for one in deploying {
        done += one.await.expect("a deployer");
    }
    running.stop().await;

    println!("{} deployments at once, {done} in all; {} watchers; {} s", size.deployments, size.watchers, size.seconds);
    println!("\n| answer | count | median ms | p95 ms | most ms |\n|---|---|---|---|---|");
    let ms = |us: u64| format!("{:.1}", us as f64 / 1000.0);
    for (name, mut times) in took {
        times.sort_unstable();
        let ranks = [50, 95, 100].map(|percent| ms(rank(&times, percent)));
        println!("| {name} | {} | {} |", times.len(), ranks.join(" | "));
    }
    ages.sort_unstable();
    let ranks = [50, 95, 99, 100].map(|percent| rank(&ages, percent));
    println!("\nevent to watcher: {} events, ms at 50, 95, 99, 100 %: {ranks:?}", ages.len());
    for (kind, mut ages) in ["server-sent events", "WebSockets"].into_iter().zip(by_kind) {
        ages.sort_unstable();
        let ranks = [50, 95, 99, 100].map(|percent| rank(&ages, percent));
        println!("  by {kind}: {} events, {ranks:?}", ages.len());
    }
    println!("watchers that were not let in: {}", REFUSED.load(Ordering::Relaxed));
    println!("runs whose lease lapsed: {}", LOST.load(Ordering::Relaxed));
    println!("RSS of engine and load together at each quarter, MiB: {weights:?}");
}
