//! What a front costs beside HAProxy and nginx: CPU time of the proxy's process for the same requests, one thread each.
//! `cargo run --release -p app-gateway --example front_bench [REQUESTS]` prints Markdown; a peer that is not installed is
//! left out. Load, upstream and proxy are processes of their own on this machine, so only CPU time is compared.
#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench speaks to a person, by the machine's clock"
)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use app_gateway::control::Client;
use app_gateway::{Front, Limits, Options, Upstream};
use base_world::World;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const CLIENTS: u64 = 32;
const REQUEST: &[u8] = b"GET /api/items?page=3 HTTP/1.1\r\nhost: shop.example.org\r\nuser-agent: bench\r\naccept: */*\r\n\
    accept-encoding: gzip\r\ntraceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\ncookie: session=0123456789abcdef\r\n\r\n";

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            ["upstream"] => upstream().await,
            ["front", folder, listen] => front(Path::new(folder), listen).await,
            [] => compare(100_000).await,
            [count] => compare(count.parse()?).await,
            _ => Err("say how many requests, or nothing".into()),
        }
    })
}

/// Answers everything with the same 1 KiB.
async fn upstream() -> Outcome<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1024\r\nx-request-id: 1\r\n\r\n{}",
        "x".repeat(1024)
    );
    loop {
        let (mut stream, _) = listener.accept().await?;
        let answer = answer.clone();
        tokio::spawn(async move {
            let _ = stream.set_nodelay(true);
            let (mut seen, mut piece) = (Vec::new(), [0; 4096]);
            while let Ok(count) = stream.read(&mut piece).await {
                seen.extend_from_slice(piece.get(..count).unwrap_or_default());
                if count == 0 {
                    return;
                }
                if seen.ends_with(b"\r\n\r\n") {
                    seen.clear();
                    if stream.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            }
        });
    }
}

async fn front(folder: &Path, listen: &str) -> Outcome<()> {
    let options = Options {
        listen: listen.to_owned(),
        control: folder.join("front.sock"),
        state: folder.join("front.state"),
        tcp: false,
        metrics: None,
        limits: Limits::default(),
    };
    let _front = Front::start(World::real(), options).await?;
    std::future::pending().await
}

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(command: &mut Command) -> Outcome<Process> {
    Ok(Process(command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?))
}

/// User and system time of a process so far, in milliseconds.
fn cpu_ms(pid: u32) -> Outcome<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    // Fields 14 and 15, counted behind the name; a tick is 10 ms on every Linux in use.
    Ok((ticks(11) + ticks(12)) * 10)
}

async fn compare(requests: u64) -> Outcome<()> {
    let folder = std::env::temp_dir().join(format!("front-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let own = std::env::current_exe()?;
    let mut serving = Command::new(&own).arg("upstream").stdout(Stdio::piped()).spawn()?;
    let out = serving.stdout.take().ok_or("no output")?;
    let _serving = Process(serving);
    let mut first = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut first)?;
    let upstream: SocketAddr = first.trim().parse()?;

    println!(
        "| proxy, one thread | CPU ms for 100,000 requests | p50 ms | p99 ms | requests/s |\n|---|---|---|---|---|"
    );
    let mut costs = Vec::new();
    for name in ["apm front", "haproxy", "nginx"] {
        // Free a moment ago; nobody else here binds ports in between.
        let listen = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let started = match name {
            "haproxy" => haproxy(&folder, listen, upstream),
            "nginx" => nginx(&folder, listen, upstream),
            _ => start(Command::new(&own).arg("front").arg(&folder).arg(listen.to_string())),
        };
        let Ok(proxy) = started else {
            println!("| {name} | not installed | | | |");
            continue;
        };
        while TcpStream::connect(listen).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if name == "apm front" {
            let control = Client::new(folder.join("front.sock"));
            let generation = control.get().await?.generation;
            control.set(generation, vec![Upstream::new("bench", upstream.to_string(), 1)]).await?;
        }
        load(listen, requests / 10).await?;
        let (before, began) = (cpu_ms(proxy.0.id())?, Instant::now());
        let mut took_us = load(listen, requests).await?;
        let (took, cpu) = (began.elapsed(), cpu_ms(proxy.0.id())? - before);
        took_us.sort_unstable();
        let at = |per_mille: usize| took_us.get(took_us.len() * per_mille / 1000).copied().unwrap_or(0);
        let (cost, rate) = (cpu * 100_000 / requests.max(1), requests * 1_000 / (took.as_millis() as u64).max(1));
        println!(
            "| {name} | {cost} | {}.{:03} | {}.{:03} | {rate} |",
            at(500) / 1000,
            at(500) % 1000,
            at(990) / 1000,
            at(990) % 1000
        );
        costs.push((name, cost));
    }
    if let Some((_, own)) = costs.first() {
        for (name, cost) in costs.iter().skip(1) {
            println!("\napm front : {name} = {}.{:02}", own / cost.max(&1), own * 100 / cost.max(&1) % 100);
        }
    }
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}

fn haproxy(folder: &Path, listen: SocketAddr, upstream: SocketAddr) -> Outcome<Process> {
    let file = folder.join("haproxy.cfg");
    let text = format!(
        "global\n nbthread 1\ndefaults\n mode http\n timeout connect 2s\n timeout client 75s\n timeout server 60s\n option forwardfor\n\
         frontend f\n bind {listen}\n default_backend b\nbackend b\n http-reuse always\n server s {upstream}\n"
    );
    std::fs::write(&file, text)?;
    start(Command::new("/usr/sbin/haproxy").arg("-f").arg(file).stdout(Stdio::null()))
}

fn nginx(folder: &Path, listen: SocketAddr, upstream: SocketAddr) -> Outcome<Process> {
    let file = folder.join("nginx.conf");
    let at = folder.display();
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!(" {kind}_temp_path {at}/{kind};\n"))
        .concat();
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\n\
         events {{ worker_connections 1024; }}\nhttp {{\n access_log off;\n{temporary} keepalive_requests 100000000;\n\
         upstream u {{ server {upstream}; keepalive 64; keepalive_requests 100000000; }}\n\
         server {{ listen {listen}; location / {{ proxy_pass http://u; proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\"; proxy_set_header Host $host;\n\
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; }} }}\n}}\n"
    );
    std::fs::write(&file, text)?;
    start(Command::new("/usr/sbin/nginx").arg("-c").arg(file).stdout(Stdio::null()))
}

/// So many requests over kept connections, each sent when the last is answered; how long each took, in microseconds.
async fn load(listen: SocketAddr, requests: u64) -> Outcome<Vec<u64>> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(listen).await?;
            stream.set_nodelay(true)?;
            let (mut took_us, mut answer) = (Vec::new(), vec![0; 16 << 10]);
            for _ in 0..requests / CLIENTS {
                let began = Instant::now();
                stream.write_all(REQUEST).await?;
                let (mut got, mut whole) = (0, usize::MAX);
                while got < whole {
                    let count = stream.read(answer.get_mut(got..).unwrap_or_default()).await?;
                    if count == 0 {
                        return Err(std::io::Error::other("the proxy closed a connection"));
                    }
                    got += count;
                    let seen = answer.get(..got).unwrap_or_default();
                    if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
                        if !seen.starts_with(b"HTTP/1.1 200") {
                            return Err(std::io::Error::other(String::from_utf8_lossy(seen).into_owned()));
                        }
                        whole = end + 4 + 1024;
                    }
                }
                took_us.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
            Ok(took_us)
        }));
    }
    let mut all = Vec::new();
    for client in clients {
        all.extend(client.await??);
    }
    Ok(all)
}
