//! A password reaches the container and nothing else: no line that is printed, no file that is kept, no answer, stream or notice of an engine.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use tests_journeys::wait;

use super::elsewhere::Office;
use super::shop::{Shop, Stage};

const SECRET: &str = "pelican-Quartz+47/brass=Xylophone";
/// It has this in base64, wherever in a longer text it begins.
const BASE64: [&str; 3] = [
    "cGVsaWNhbi1RdWFydHorNDcvYnJhc3M9WHlsb3Bob25l",
    "BlbGljYW4tUXVhcnR6KzQ3L2JyYXNzPVh5bG9waG9uZ",
    "wZWxpY2FuLVF1YXJ0eis0Ny9icmFzcz1YeWxvcGhvbm",
];

pub(crate) fn a_secret_is_nowhere_but_in_the_container(stage: &Stage) {
    let docker = stage.docker;
    // A version that says the password aloud and ends.
    docker.build(
        "journey/store:blabs",
        "FROM journey/store-base:1\nENTRYPOINT [\"/bin/sh\", \"-c\", \"echo no way in with $DB_PASSWORD; exit 3\"]\n",
        &[],
    );
    let shop = Shop::new(stage, "secrets");
    let file = shop.home.path().join("password");
    std::fs::write(&file, format!("{SECRET}\n")).expect("the secret can be written");
    rights(&file, 0o644);
    // A second one comes by a file of variables, into a variable of another name.
    let keys = shop.home.path().join("keys");
    std::fs::write(&keys, format!("SECOND={SECRET}2\n")).expect("the secret can be written");
    rights(&keys, 0o600);
    let files_of = format!("env_file: [{{ path: {}, secret: true }}]", keys.display());
    let service = format!("  LATE: \"at ${{SECOND}}\"\n{files_of}\nsecrets:\n  DB_PASSWORD: {}", file.display());
    // Where it would be shown it is refused, at its place.
    shop.settings("judged: false\ncommand: [\"--key=${SECOND}\"]", &service);
    let words = ["`SECOND` would stand in the plan in clear", "command", "env: { SECOND: ${SECOND} }"];
    shop.deploy(&["--version", "1", "--dry-run"]).expect(2, &words);
    shop.settings("judged: false", &service);

    let open = format!("{} can be read by others (mode 0644): it holds DB_PASSWORD", file.display());
    let mended = format!("chmod 600 {}", file.display());
    let dry = shop.deploy(&["--version", "1", "--dry-run", "-vv"]).expect(0, &["DB_PASSWORD", "LATE", &open, &mended]);
    assert!(!dry.text.contains(&format!("{} can be read", keys.display())), "{}", dry.text);
    rights(&file, 0o600);
    assert!(shop.containers().is_empty(), "a dry run made containers: {}", dry.text);
    shop.deploy(&["--version", "1", "-vv"]).expect(0, &["complete"]);
    let env = docker.docker(&["exec", &shop.container(), "/bin/env"]);
    assert!(env.lines().any(|line| line == format!("DB_PASSWORD={SECRET}")), "the container has no password");
    assert!(env.lines().any(|line| line == format!("LATE=at {SECRET}2")), "the container has not the second");
    let old = shop.id();

    let blabs = shop.deploy(&["--version", "blabs", "-vv"]).expect(1, &["its last words: no way in with $DB_PASSWORD"]);
    // Docker has started it again by then, or not: while it runs nobody knows its code.
    let how = ["shop-secrets ended with code 3", "shop-secrets ends, and was started again once by now"];
    assert!(how.iter().any(|how| blabs.text.contains(how)), "{}", blabs.text);
    shop.is_restored(&old);
    for words in [&["status"][..], &["plan"], &["list"], &["status", "-vv"]] {
        shop.deploy(words);
    }
    // A password that changes is a release of its own.
    std::fs::write(&file, format!("{SECRET}{SECRET}")).expect("the secret can be written");
    shop.deploy(&["--version", "1"]).expect(0, &["complete"]);
    let env = docker.docker(&["exec", &shop.container(), "/bin/env"]);
    assert!(env.contains(&format!("DB_PASSWORD={SECRET}{SECRET}")), "the container has the old password");

    let mut files = files(shop.home.path());
    files.retain(|path| *path != file && *path != keys);
    files.extend(self::files(&shop.artefacts));
    let kept: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(kept.iter().any(|name| name.starts_with("history.db")) && kept.len() > 8, "looked at {kept:?} only");
    for path in files {
        nowhere_in(&path.display().to_string(), &std::fs::read(&path).expect("it can be read"));
    }
}

/// Whatever holds the password is shown by its name.
fn nowhere_in(name: &str, bytes: &[u8]) {
    for needle in [&[SECRET], &BASE64[..]].concat() {
        let found = bytes.windows(needle.len()).position(|window| window == needle.as_bytes());
        assert_eq!(found, None, "{name} holds `{needle}`");
    }
}

const SETTINGS: &str = r#"project: shop
services:
  told:
    image: journey/told
    secrets: { DB_PASSWORD: password }
    deploy: { judged: false, stop_grace: 1s, networks: [host] }
notify: [{ webhook: "http://127.0.0.1:PORT/hook" }]
"#;

const COMPOSE: &str = r#"name: shop
services:
  given:
    image: journey/busybox:1
    command: ["sh", "-c", "cat /run/secrets/password > /seen; exec sleep 1000"]
    secrets: [password]
    stop_grace_period: 1s
secrets: { password: { file: ./password } }
"#;

pub(crate) fn an_engine_tells_no_secret(stage: &Stage) {
    let docker = stage.docker;
    let base = "FROM journey/busybox:1\nENTRYPOINT";
    docker.build("journey/told:1", &format!("{base} [\"/bin/sh\", \"-c\", \"echo up; exec sleep 1000\"]\n"), &[]);
    let blabs = "echo no way in with $DB_PASSWORD; exit 3";
    docker.build("journey/told:blabs", &format!("{base} [\"/bin/sh\", \"-c\", \"{blabs}\"]\n"), &[]);
    let hook = Hook::start();
    // The engine's own log says all that it can.
    let settings = SETTINGS.replace("PORT", &hook.port.to_string());
    let office = Office::new(stage, "told", &["APM_LOG=debug,hyper=info,h2=info"], &settings);
    let file = office.put("password", &format!("{SECRET}\n"));
    office.put("compose.yaml", COMPOSE);
    let address = office.engine.url.trim_start_matches("http://").to_owned();
    let all = Overheard::of(&address, "/apm/v1/deployments/watch");
    let all_sockets = Overheard::of(&address, "/apm/v1/deployments/ws");

    office.there(&["start", "--version", "1", "--yes", "-vv"]).expect(0, &["complete"]);
    office.there(&["start", "--version", "blabs", "--yes", "-vv"]).expect(1, &["no way in with $DB_PASSWORD"]);
    office.put("apm.yaml", &settings.replace("services:\n", "services:\n  given: { deploy: { judged: false } }\n"));
    office.there(&["start", "--compose", "compose.yaml", "--yes", "-vv"]).expect(0, &["complete"]);
    wait::until("the container to have read its secret", 60, || {
        let seen = docker.try_docker(&["exec", "shop-given", "cat", "/seen"])?;
        if seen.contains(SECRET) { Ok(()) } else { Err(format!("it read {seen:?}")) }
    });
    let env = docker.docker(&["exec", "shop-told", "/bin/env"]);
    assert!(env.contains(SECRET), "it did not reach the container: {env}");

    // Every answer that the document tells of, for every run; what joins the document joins this walk.
    let list = office.engine.get("/apm/v1/deployments", &[]).ok().json();
    let runs: Vec<String> = list["deployments"]
        .as_array()
        .expect("runs")
        .iter()
        .filter_map(|row| Some(row["run"].as_str()?.to_owned()))
        .collect();
    assert_eq!(runs.len(), 3, "{list}");
    let document = office.engine.get("/apm/v1/openapi.json", &[]).ok().json();
    let (mut answers, mut streams) = (0, 0);
    for path in document["paths"].as_object().expect("paths").iter().filter(|(_, item)| item["get"].is_object()) {
        let path = path.0;
        for run in &runs {
            let kept = office.engine.get(&format!("/apm/v1/deployments/{run}/artefacts"), &[]).ok().json();
            let name = kept["artefacts"][0]["name"].as_str().unwrap_or("none");
            let asked = path.replace("{run}", run).replace("{name}", name).replace("{promotion}", run);
            if path.ends_with("/watch") || path.ends_with("/ws") {
                nowhere_in(&asked, &Overheard::of(&address, &asked).heard());
                streams += 1;
            } else {
                nowhere_in(&asked, &office.engine.get(&asked, &[("environment", "default")]).body);
                let reply = office.engine.get(&asked, &[]);
                assert!(reply.status < 500, "{asked}: {}", reply.text());
                nowhere_in(&asked, &reply.body);
                answers += 1;
            }
            if !path.contains('{') {
                break;
            }
        }
    }
    assert!(answers > 25 && streams > 9, "walked {answers} answers and {streams} streams only");
    for path in
        ["/ui/deploys".to_owned(), format!("/ui/deploys/{}", runs[0]), "/metrics".into(), "/apm/v1/status".into()]
    {
        nowhere_in(&path, &office.engine.get(&path, &[]).ok().body);
    }
    for (name, overheard) in [("the stream of all runs", all), ("the socket of all runs", all_sockets)] {
        let heard = overheard.heard();
        assert!(String::from_utf8_lossy(&heard).contains("complete"), "{name} tells nothing");
        nowhere_in(name, &heard);
    }
    let told = wait::until("the webhook to be told of an end", 60, || {
        let told = hook.told();
        if String::from_utf8_lossy(&told).contains("complete") { Ok(told) } else { Err(told.len()) }
    });
    nowhere_in("a webhook", &told);
    for words in [&["list"][..], &["status"], &["plan"], &["logs"], &["judge"], &["diff", "--version", "1"], &["dora"]]
    {
        let words = [words, &["-vv"]].concat();
        nowhere_in(&format!("{words:?}"), office.there(&words).text.as_bytes());
    }

    // What was given for the containers is where they see it, and nowhere else.
    let given = office.engine.home().join("state/apm/given");
    assert!(!files(&given).is_empty());
    let mut files = files(office.engine.home());
    files.retain(|path| *path != file && !path.starts_with(&given));
    files.extend(self::files(office.engine.artefacts()));
    let kept: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    assert!(kept.contains(&"engine.log") && kept.iter().any(|name| name.starts_with("history.db")), "{kept:?}");
    for path in files {
        nowhere_in(&path.display().to_string(), &std::fs::read(&path).unwrap_or_default());
    }
    docker.docker(&["rm", "-f", "shop-told", "shop-given"]);
}

/// A request for a WebSocket (RFC 6455, §4.1).
const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Whoever listens to a stream from its beginning, as it comes over the wire.
struct Overheard {
    heard: Arc<Mutex<Vec<u8>>>,
    listener: JoinHandle<()>,
    done: Arc<AtomicBool>,
}

impl Overheard {
    fn of(address: &str, path: &str) -> Overheard {
        let mut stream = TcpStream::connect(address).expect("the engine takes connections");
        let is_socket = path.split('?').next().is_some_and(|path| path.ends_with("/ws"));
        let socket = if is_socket { UPGRADE } else { "" };
        // Nothing is packed: nobody says that he could unpack it. The frames of a server are not masked (RFC 6455, §5.1).
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{socket}\r\n");
        stream.write_all(request.as_bytes()).expect("it can be asked");
        stream.set_read_timeout(Some(Duration::from_millis(1_500))).expect("a time limit");
        let (heard, done) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (into, is_done) = (Arc::clone(&heard), Arc::clone(&done));
        let listener = std::thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => return,
                    Ok(count) => into.lock().extend_from_slice(&buffer[..count]),
                    // Silence: what there was has come.
                    Err(_) if is_done.load(Ordering::Relaxed) => return,
                    // Whoever never answers a ping is cut: an empty pong (RFC 6455, §5.5.3).
                    Err(_) if is_socket => stream.write_all(&[0x8a, 0x80, 0, 0, 0, 0]).unwrap_or_default(),
                    Err(_) => {}
                }
            }
        });
        Overheard { heard, listener, done }
    }

    /// All that came, once nothing more comes.
    fn heard(self) -> Vec<u8> {
        self.done.store(true, Ordering::Relaxed);
        self.listener.join().expect("it listened");
        let heard = self.heard.lock().clone();
        assert!(heard.starts_with(b"HTTP/1.1 "), "nothing was answered");
        heard
    }
}

/// Takes every notice.
struct Hook {
    port: u16,
    told: Arc<Mutex<Vec<u8>>>,
}

impl Hook {
    fn start() -> Hook {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("it has an address").port();
        let told = Arc::new(Mutex::new(Vec::new()));
        let into = Arc::clone(&told);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().map_while(Result::ok) {
                let _ = stream.set_read_timeout(Some(Duration::from_millis(300)));
                let mut request = Vec::new();
                let _ = stream.read_to_end(&mut request);
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                into.lock().extend_from_slice(&request);
            }
        });
        Hook { port, told }
    }

    fn told(&self) -> Vec<u8> {
        self.told.lock().clone()
    }
}

fn rights(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("its rights can be set");
}

/// All files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("it is a folder").filter_map(Result::ok).map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
