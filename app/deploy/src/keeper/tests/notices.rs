//! Receivers of notices, over real sockets: away, refusing, and told in the end; and what neither they nor any file may ever hold.
#![expect(clippy::disallowed_methods, reason = "real files are searched, past the door")]

use super::*;

/// A receiver of webhooks that refuses the first ones.
struct Hook {
    address: std::net::SocketAddr,
    state: Arc<Mutex<(usize, Vec<Seen>)>>,
}

#[derive(Clone)]
struct Seen {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Hook {
    async fn new(refuses: usize) -> Hook {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let state = Arc::new(Mutex::new((refuses, Vec::new())));
        let hook = Hook { address: listener.local_addr().unwrap(), state: Arc::clone(&state) };
        tokio::spawn(async move {
            loop {
                let (mut peer, _) = listener.accept().await.unwrap();
                let (mut bytes, mut end) = (Vec::new(), None);
                while end.is_none_or(|end| bytes.len() < end) {
                    if peer.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        break;
                    }
                    let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                    let head = text.find("\r\n\r\n");
                    let length =
                        text.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
                    end = head.zip(length).map(|(head, length): (usize, usize)| head + 4 + length);
                }
                let text = String::from_utf8_lossy(&bytes).into_owned();
                // An engine that was stopped in the middle of a request.
                let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
                let status = {
                    let mut state = state.lock();
                    let status = if state.0 > 0 { 503 } else { 200 };
                    state.0 = state.0.saturating_sub(1);
                    state.1.push(Seen { status, head: head.to_owned(), body: body.into() });
                    status
                };
                let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
                let _ = peer.write_all(answer.as_bytes()).await;
            }
        });
        hook
    }

    fn refuse(&self, next: usize) {
        self.state.lock().0 = next;
    }

    fn seen(&self) -> Vec<Seen> {
        self.state.lock().1.clone()
    }

    async fn until(&self, comes: impl Fn(&[Seen]) -> bool) {
        let seen = async {
            while !comes(&self.seen()) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), seen).await.expect("it is told within a minute");
    }
}

/// A password reaches no file but its own: not the database, not its log of changes, not what receivers are told, not what entries, plans and
/// states say when they are written down for an answer.
#[tokio::test]
async fn a_password_is_in_no_file_and_in_no_notice() {
    const SECRET: &str = "pelican-Quartz+47/brass=Xylophone";
    let rig = Rig::new();
    let hook = Hook::new(0).await;
    let (password, key) = (rig.folder.path().join("password"), rig.folder.path().join("hook.key"));
    std::fs::write(&password, SECRET).unwrap();
    std::fs::write(&key, "tangerine-Dream+11").unwrap();
    let settings = crate::NotifySettings {
        webhook: format!("http://{}/T0KEN-in-the-path", hook.address),
        secret: Some(key.clone()),
        ..crate::NotifySettings::default()
    };
    rig.receivers.lock().push(settings.receiver(&*World::real().disk).unwrap());
    let with_secret = |version: &str| {
        rig.image(&format!("shop/cart:{version}\n    secrets: {{ DB_PASSWORD: {} }}", password.display()));
    };
    with_secret("1");
    let life = rig.life("apm 1", 0);
    let first = life.create().await;
    assert_eq!(life.end(&first).await, Status::Complete);
    life.idle().await;
    with_secret("2");
    rig.paper.answers.store(false, Ordering::Relaxed);
    let second = life.create().await;
    life.until(&second, |event| matches!(event, Event::Acted { step, .. } if step.0 == "start-shop-cart")).await;
    life.order(&second, Order::Cancel).await.unwrap();
    assert_eq!(life.end(&second).await, Status::RolledBack);
    life.idle().await;
    let ends =
        |seen: &[Seen]| seen.iter().filter(|seen| String::from_utf8_lossy(&seen.body).contains("\"ended\"")).count();
    hook.until(|seen| ends(seen) == 2).await;

    let mut places: Vec<(String, Vec<u8>)> = Vec::new();
    for file in std::fs::read_dir(rig.history().parent().unwrap()).unwrap() {
        let path = file.unwrap().path();
        places.push((path.display().to_string(), std::fs::read(&path).unwrap()));
    }
    assert!(places.iter().any(|(name, _)| name.ends_with("-wal")), "the log of changes was not looked at");
    for seen in hook.seen() {
        places.push((format!("notice {}", seen.head), [seen.head.into_bytes(), seen.body].concat()));
    }
    let desk = life.keeper.desk().await.unwrap();
    for run in [&first, &second] {
        let (plan, state) = desk.look(run).await.unwrap();
        let told = format!("{}\n{state:?}\n{plan:?}", operate_plan::report(&plan, &[]));
        places.push((format!("{run}"), told.into_bytes()));
    }
    for (place, bytes) in places {
        for needle in [SECRET, "cGVsaWNhbi1RdWFydHorNDcvYnJhc3M9WHlsb3Bob25l", "tangerine-Dream+11"] {
            assert!(!bytes.windows(needle.len()).any(|window| window == needle.as_bytes()), "{place} holds {needle}");
        }
        let is_path = place.starts_with("notice");
        let token = b"T0KEN-in-the-path";
        assert!(is_path || !bytes.windows(token.len()).any(|window| window == token), "{place} holds the address");
    }
}

#[tokio::test]
async fn receivers_are_told_although_they_were_away() {
    let rig = Rig::new();
    let hook = Hook::new(2).await;
    let secret = rig.folder.path().join("hook.key");
    std::fs::write(&secret, "hunter2hunter2\n").unwrap();
    let settings = crate::NotifySettings {
        webhook: format!("http://{}/T0KEN-in-the-path", hook.address),
        events: vec![operate_execute::Occasion::Started, operate_execute::Occasion::Ended],
        secret: Some(secret),
    };
    assert!(!format!("{settings:?}").contains("T0KEN"));
    rig.receivers.lock().push(settings.receiver(&*World::real().disk).unwrap());
    // Two tries fail before the first is taken; the run ends meanwhile.
    let life = rig.life("apm 1", 0);
    let first = life.create().await;
    assert_eq!(life.end(&first).await, Status::Complete);
    hook.until(|seen| seen.len() == 4).await;
    let told = |run: &RunId, seen: &[Seen]| {
        seen.iter()
            .map(|seen| {
                let body: Value = serde_json::from_slice(&seen.body).unwrap();
                assert_eq!(body["run"], json!(run));
                assert!(
                    seen.head.contains(&format!("x-apm-delivery: {}", body["id"].as_str().unwrap())),
                    "{}",
                    seen.head
                );
                assert!(seen.head.contains("x-apm-signature: sha256="), "{}", seen.head);
                format!(
                    "{} {} {}",
                    seen.status,
                    body["event"].as_str().unwrap(),
                    body["status"].as_str().unwrap_or("-")
                )
            })
            .collect::<Vec<_>>()
    };
    let expect = ["503 started -", "503 started -", "200 started -", "200 ended complete"];
    assert_eq!(told(&first, &hook.seen()), expect);

    // It is away until the engine is gone; the next engine tells it.
    hook.refuse(usize::MAX);
    rig.image("shop/cart:2");
    life.idle().await;
    let second = life.create().await;
    assert_eq!(life.end(&second).await, Status::Complete);
    hook.until(|seen| seen.len() > 4).await;
    life.stop.send(true).unwrap();
    drop(life);
    hook.refuse(0);
    let life = rig.life("apm 2", 0);
    life.keeper.desk().await.unwrap();
    let ends = |seen: &[Seen]| told(&second, &seen[4..]).contains(&"200 ended complete".to_owned());
    hook.until(ends).await;
    let mut taken = told(&second, &hook.seen()[4..]);
    taken.retain(|line| line.starts_with("200"));
    // More than once is no fault: the first engine may have had one on its way.
    taken.dedup();
    assert_eq!(taken, ["200 started -", "200 ended complete"]);
}
