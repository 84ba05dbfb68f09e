//! A control socket that says what it is told to, for the tests of whoever asks a front. It is no front: nothing is kept and nothing is passed on.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

/// Generation 4: blue is well, and another blue leaves.
pub(crate) const STATE: &str = r#"{"pid":7,"listen":"127.0.0.1:80","generation":4,"upstreams":[{"name":"blue","address":"127.0.0.1:81","weight":1,"protocol":"auto","healthy":true,"in_flight":2},{"name":"blue","address":"127.0.0.1:82","weight":1,"protocol":"auto","healthy":false,"reason":"refused","in_flight":3,"leaving":true}]}"#;

pub(crate) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

/// Answers requests in this order, the last answer for ever, and then keeps the connection or hangs up.
pub(crate) fn listen(path: &Path, answers: Vec<String>, hangs_up: bool) {
    let listener = UnixListener::bind(path).expect("a socket");
    tokio::spawn(async move {
        let (mut kept, mut next) = (Vec::new(), 0);
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let says = answers.get(next.min(answers.len() - 1)).map_or("", String::as_str);
            next += 1;
            let _ = stream.write_all(says.as_bytes()).await;
            if !hangs_up {
                kept.push(stream);
            }
        }
    });
}
