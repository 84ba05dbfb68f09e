//! The smallest HTTP/1.1 client that keeps its connection: what it costs must not be measured with the server. It follows no redirect and takes no
//! chunked answers but for reading them to their end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// One kept connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    host: String,
}

/// Status and body.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Client {
    /// Connects to `http://HOST:PORT`.
    pub(crate) fn connect(url: &str) -> Result<Self, String> {
        let host = url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).map_err(|error| format!("{host}: {error}"))?;
        let settings = stream.set_nodelay(true).and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(60))));
        settings.map_err(|error| format!("{host}: {error}"))?;
        Ok(Self { stream: BufReader::new(stream), host })
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Reply, String> {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", self.host), &[])
    }

    /// `headers` are lines with their line ends.
    pub(crate) fn post(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<Reply, String> {
        self.with_body("POST", path, headers, body)
    }

    /// The same to change what is there.
    pub(crate) fn patch(&mut self, path: &str, headers: &str, body: &[u8]) -> Result<Reply, String> {
        self.with_body("PATCH", path, headers, body)
    }

    fn with_body(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> Result<Reply, String> {
        let (host, length) = (&self.host, body.len());
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {host}\r\n{headers}content-length: {length}\r\n\r\n");
        self.send(&head, body)
    }

    fn send(&mut self, head: &str, body: &[u8]) -> Result<Reply, String> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        sent.map_err(|error| format!("{}: {error}", self.host))?;
        self.receive().map_err(|error| format!("{}: no whole answer: {error}", self.host))
    }

    fn receive(&mut self) -> std::io::Result<Reply> {
        let mut status = 0;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let lower = line.to_ascii_lowercase();
            if let Some(rest) = lower.strip_prefix("http/1.1 ") {
                status = rest.split(' ').next().and_then(|code| code.parse().ok()).unwrap_or(0);
            } else if let Some(rest) = lower.strip_prefix("content-length:") {
                length = rest.trim().parse().unwrap_or(0);
            } else if lower.starts_with("transfer-encoding:") {
                chunked = lower.contains("chunked");
            }
        }
        let mut body = Vec::new();
        while chunked {
            let size = usize::from_str_radix(self.line()?.trim(), 16).unwrap_or(0);
            self.stream.by_ref().take(size as u64).read_to_end(&mut body)?;
            self.line()?;
            chunked = size > 0;
        }
        self.stream.by_ref().take(length).read_to_end(&mut body)?;
        Ok(Reply { status, body })
    }

    fn line(&mut self) -> std::io::Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        Ok(line.trim_end().to_owned())
    }
}
