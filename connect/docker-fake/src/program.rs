//! What a container does instead of running a process. A published port is really listened on, on loopback, so that whoever looks finds somebody there.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What an image's command would do.
#[derive(Clone, Debug, Default)]
pub struct Program {
    /// Answers `GET /healthz` with 200 and `ok`, and all else with 404, on every published port. Without it a connection is closed at once, as Docker's own
    /// proxy does where nobody listens.
    pub serves: bool,
    /// Ends at once with this code.
    pub ends: Option<i64>,
    /// What it says; `$NAME` stands for a variable of the container.
    pub says: Vec<String>,
    /// What its health check says, where the image has one: `healthy`, `starting`, `unhealthy`.
    pub health: Option<&'static str>,
    /// So many times it was started again already.
    pub restarts: u64,
}

impl Program {
    pub fn serving() -> Program {
        Program { serves: true, health: Some("healthy"), ..Program::default() }
    }

    pub fn ending(code: i64, says: &[&str]) -> Program {
        Program { ends: Some(code), says: says.iter().map(|line| (*line).to_owned()).collect(), ..Program::default() }
    }
}

/// A port that is listened on until it is [`Listening::end`]ed.
pub(crate) struct Listening {
    pub(crate) port: u16,
    task: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn begin(address: &str, port: u16, serves: bool) -> std::io::Result<Listening> {
        let listener = TcpListener::bind((address, port)).await?;
        let port = listener.local_addr()?.port();
        let task = tokio::spawn(async move {
            // Dropped with the listener, so that a container that ended holds no connection.
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                if serves {
                    connections.spawn(answer(stream));
                }
            }
        });
        Ok(Listening { port, task })
    }

    /// Back when the port is free.
    pub(crate) async fn end(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn answer(mut stream: TcpStream) {
    let mut head = Vec::new();
    while let Ok(byte) = stream.read_u8().await {
        head.push(byte);
        if !head.ends_with(b"\r\n\r\n") {
            continue;
        }
        let text = if head.starts_with(b"GET /healthz ") {
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok\n"
        } else {
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
        };
        let last = String::from_utf8_lossy(&head).to_ascii_lowercase().contains("connection: close");
        head.clear();
        if stream.write_all(text.as_bytes()).await.is_err() || last {
            return;
        }
    }
}
