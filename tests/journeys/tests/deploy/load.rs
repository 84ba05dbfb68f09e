//! Many requests at a steady pace, whether they are answered or not: half over connections that are kept, half over new ones, as users and
//! other services would. Each is timed from when it was due, so that one slow answer does not hide the ones behind it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tests_journeys::wait;

use super::customers::{Answer, Request};

/// So many ask side by side; one that waits for an answer does not hold up the others.
const CLIENTS: u32 = 25;
const ANSWER_MAX: Duration = Duration::from_secs(10);

pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<Vec<Request>>>,
}

impl Load {
    /// So many requests a second for a page of what listens on this port of loopback.
    pub(crate) fn of(port: u16, page: &'static str, per_second: u32) -> Load {
        let (stop, good) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (begun, pause) = (Instant::now(), Duration::from_secs(1) * CLIENTS / per_second);
        let client = |number: u32| {
            let (stop, good) = (Arc::clone(&stop), Arc::clone(&good));
            let ask = move || {
                let (mut asked, mut due) = (Vec::new(), begun + pause * number / CLIENTS);
                let mut client = Client { port, page, keeps: number.is_multiple_of(2), connection: None };
                while !stop.load(Ordering::Relaxed) {
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    let answer = client.ask();
                    good.fetch_add(usize::from(answer == Answer::Good), Ordering::Relaxed);
                    asked.push(Request { at: due, took: due.elapsed(), answer });
                    due += pause;
                }
                asked
            };
            thread::Builder::new().name(format!("client {number}")).spawn(ask).expect("a thread")
        };
        let clients = (0..CLIENTS).map(client).collect();
        Load { stop, good, clients }
    }

    /// Waits for so many more.
    pub(crate) fn good_answers(&self, more: usize) {
        let before = self.good.load(Ordering::Relaxed);
        wait::until("good answers", 120, || {
            let now = self.good.load(Ordering::Relaxed) - before;
            if now >= more { Ok(()) } else { Err(format!("{now} of {more}")) }
        });
    }

    /// What they noticed, in the order of time.
    pub(crate) fn leave(mut self) -> Vec<Request> {
        self.stop.store(true, Ordering::Relaxed);
        let clients = std::mem::take(&mut self.clients);
        let mut all: Vec<_> =
            clients.into_iter().flat_map(|client| client.join().expect("clients do not panic")).collect();
        all.sort_by_key(|request| request.at);
        all
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Client {
    port: u16,
    page: &'static str,
    /// Uses a connection for all requests, as long as it lasts.
    keeps: bool,
    connection: Option<TcpStream>,
}

impl Client {
    fn ask(&mut self) -> Answer {
        let answer = self.exchange();
        if answer.is_err() {
            self.connection = None;
        }
        match answer {
            Ok(200) => Answer::Good,
            Ok(_) => Answer::Error,
            Err(_) => Answer::Nothing,
        }
    }

    fn exchange(&mut self) -> io::Result<u16> {
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => {
                let stream = TcpStream::connect(("127.0.0.1", self.port))?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER_MAX))?;
                stream
            }
        };
        let close = if self.keeps { "" } else { "connection: close\r\n" };
        let head = format!("GET {} HTTP/1.1\r\nhost: 127.0.0.1\r\n{close}\r\n", self.page);
        stream.write_all(head.as_bytes())?;
        let (status, closes) = answer(&mut stream)?;
        if self.keeps && !closes {
            self.connection = Some(stream);
        }
        Ok(status)
    }
}

/// Reads one answer to its end: its status, and whether the connection ends with it.
fn answer(stream: &mut TcpStream) -> io::Result<(u16, bool)> {
    let bad = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let (mut bytes, mut chunk) = (Vec::new(), [0; 16 << 10]);
    let mut more = |bytes: &mut Vec<u8>| -> io::Result<()> {
        match stream.read(&mut chunk)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                bytes.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    };
    let end = loop {
        match bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            Some(end) => break end + 4,
            None => more(&mut bytes)?,
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| bad("no status"))?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    let length = length.ok_or_else(|| bad("no content-length"))?;
    while bytes.len() < end + length {
        more(&mut bytes)?;
    }
    Ok((status, head.contains("connection: close")))
}

/// The 99th percentile of what they waited, of those that were due in this time.
pub(crate) fn p99(requests: &[Request], from: Instant, to: Instant) -> Duration {
    let mut took: Vec<_> =
        requests.iter().filter(|request| (from..to).contains(&request.at)).map(|request| request.took).collect();
    took.sort_unstable();
    assert!(took.len() >= 100, "only {} requests from {from:?} to {to:?}", took.len());
    took[took.len() * 99 / 100]
}
