//! A server in this process that answers as a test says, and remembers what it was asked.

use std::sync::Arc;

use base_world::World;
use connect_registry::{Client, Credentials, Login, Nobody, Options, Reference};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// With the query.
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// `GET /v2/`
    pub(crate) fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What the server does with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    end: End,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum End {
    #[default]
    Whole,
    /// Promises more than it sends.
    Cut,
    /// Sends the body again and again, with no length.
    Endless,
    /// Closes without an answer.
    Closed,
}

pub(crate) fn answer(status: u16, body: impl AsRef<[u8]>) -> Answer {
    Answer { status, body: body.as_ref().to_vec(), ..Answer::default() }
}

impl Answer {
    pub(crate) fn with(mut self, name: &str, value: impl std::fmt::Display) -> Answer {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn cut(self) -> Answer {
        Answer { end: End::Cut, ..self }
    }

    pub(crate) fn endless(self) -> Answer {
        Answer { end: End::Endless, ..self }
    }

    pub(crate) fn closed() -> Answer {
        Answer { end: End::Closed, ..Answer::default() }
    }
}

pub(crate) struct Server {
    /// `127.0.0.1:4711`
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl Server {
    /// Answers each request as `say` says.
    pub(crate) async fn start(say: impl FnMut(&Asked) -> Answer + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound").to_string();
        let (asked, say) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(say)));
        let remember = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (say, remember) = (Arc::clone(&say), Arc::clone(&remember));
                tokio::spawn(async move { serve(stream, &remember, |asked| say.lock()(asked)).await });
            }
        });
        Server { address, asked }
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().iter().map(Asked::line).collect()
    }

    /// The image `a:1` there.
    pub(crate) fn image(&self) -> Reference {
        format!("{}/a:1", self.address).parse().expect("a reference")
    }
}

pub(crate) fn client(login: impl Login + 'static) -> Client {
    Client::new(Arc::new(login), World::real().clock, Options::default()).expect("a client")
}

pub(crate) fn nobody() -> Client {
    client(Nobody)
}

pub(crate) fn ann() -> Credentials {
    Credentials::password("ann", "hunter2")
}

/// ann:hunter2
pub(crate) const ANN_BASIC: &str = "Basic YW5uOmh1bnRlcjI=";

pub(crate) async fn serve(mut stream: TcpStream, remember: &Mutex<Vec<Asked>>, say: impl FnOnce(&Asked) -> Answer) {
    let Some(asked) = read(&mut stream).await else { return };
    remember.lock().push(asked.clone());
    let Answer { status, headers, body, end } = say(&asked);
    if end == End::Closed {
        return;
    }
    let mut head = format!("HTTP/1.1 {status} Said\r\nconnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    match end {
        End::Endless => {}
        End::Cut => head.push_str(&format!("content-length: {}\r\n", body.len() + 100)),
        _ if asked.method == "HEAD" && head.contains("content-length") => {}
        _ => head.push_str(&format!("content-length: {}\r\n", body.len())),
    }
    let _ = stream.write_all(format!("{head}\r\n").as_bytes()).await;
    if asked.method != "HEAD" {
        let _ = stream.write_all(&body).await;
        while end == End::Endless && stream.write_all(&body).await.is_ok() {}
    }
    let _ = stream.shutdown().await;
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length");
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().expect("a number"))];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked { method, path, headers, body })
}
