//! What goes over the wire and how trouble is told, against a server made by hand.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use base_http::{Answer, Authorization, BasicAuth, Client, HttpConfig, HttpError, Limits, Secret};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(20), body_bytes: 1000 };

/// Serves each of `answers` once, in turn, and then nobody; what was asked can be read from the channel.
fn server(answers: &[&str]) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let answers: Vec<String> = answers.iter().map(|answer| answer.replace("URL", &url)).collect();
    let (sender, asked) = channel();
    std::thread::spawn(move || {
        for answer in answers {
            let mut reader = BufReader::new(listener.accept().expect("a client").0);
            let mut head = String::new();
            while reader.read_line(&mut head).expect("a line") > 2 {}
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let mut body = vec![0; length.map_or(0, |length| length.parse().expect("a number"))];
            reader.read_exact(&mut body).expect("a body");
            sender.send(head + &String::from_utf8_lossy(&body)).expect("a test that listens");
            reader.get_mut().write_all(answer.as_bytes()).expect("a client that waits");
        }
    });
    (url, asked)
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n{body}", body.len())
}

async fn get(config: HttpConfig, url: &str) -> Result<Answer, HttpError> {
    Client::new(config).expect("a client").get(url, &[("x-extra", "one")], LIMITS).await
}

#[tokio::test]
async fn any_status_is_an_answer() {
    for status in [200, 404, 503] {
        let (url, asked) = server(&[&answer(&format!("{status} Said"), "content-type: text/html\r\n", "sold")]);
        let answer = get(HttpConfig::default(), &format!("{url}/metrics")).await.unwrap();
        assert_eq!(
            (answer.status, answer.content_type.as_str(), &answer.body[..]),
            (status, "text/html", &b"sold"[..])
        );
        let asked = asked.recv().unwrap();
        assert!(asked.starts_with("GET /metrics HTTP/1.1\r\n"), "{asked}");
        for header in ["x-extra: one\r\n", concat!("user-agent: apm/", env!("CARGO_PKG_VERSION"), "\r\n")] {
            assert!(asked.contains(header), "{header} is missing in {asked}");
        }
        assert!(!asked.contains("authorization"), "{asked}");
    }
}

#[tokio::test]
async fn a_body_is_posted_with_its_type() {
    let (url, asked) = server(&[&answer("204 Said", "", "")]);
    let client = Client::new(HttpConfig::default()).unwrap();
    let answer = client.post(&url, "application/json", "{\"sold\": 3}", LIMITS).await.unwrap();
    assert_eq!((answer.status, answer.content_type.as_str()), (204, ""));
    let asked = asked.recv().unwrap();
    assert!(asked.starts_with("POST / HTTP/1.1\r\n") && asked.ends_with("\r\n\r\n{\"sold\": 3}"), "{asked}");
    assert!(asked.contains("content-type: application/json\r\n"), "{asked}");
}

#[tokio::test]
async fn credentials_are_sent_as_the_configuration_says() {
    // `apm:secret` in base64.
    let basic = BasicAuth { username: "apm".into(), password: Secret::new("secret") };
    let bearer = Authorization::bearer("secret");
    for (config, expect) in [
        (HttpConfig { basic_auth: Some(basic), ..HttpConfig::default() }, "authorization: Basic YXBtOnNlY3JldA==\r\n"),
        (HttpConfig { authorization: Some(bearer), ..HttpConfig::default() }, "authorization: Bearer secret\r\n"),
    ] {
        let (url, asked) = server(&[&answer("200 Said", "", "")]);
        get(config.clone(), &url).await.unwrap();
        let asked = asked.recv().unwrap();
        assert!(asked.contains(expect), "{asked}");
        let error = get(config, &url).await.unwrap_err();
        assert!(!format!("{error} {error:?}").contains("secret"), "{error:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_unless_they_may_not_be() {
    for (follow_redirects, expect) in [(true, 200), (false, 302)] {
        let moved = answer("302 Said", "location: URL/new\r\n", "");
        let (url, _asked) = server(&[&moved, &answer("200 Said", "", "")]);
        let config = HttpConfig { follow_redirects, ..HttpConfig::default() };
        assert_eq!(get(config, &url).await.unwrap().status, expect);
    }
}

async fn check(url: &str, limits: Limits, expect: &str) {
    let client = Client::new(HttpConfig::default()).expect("a client");
    let error = client.get(url, &[], limits).await.expect_err("trouble");
    assert_eq!(error.to_string().replace(url, "URL"), expect);
}

#[tokio::test]
async fn trouble_is_told_with_its_innermost_cause() {
    let (url, _asked) = server(&[&answer("200 Said", "", &"x".repeat(1001))]);
    check(&url, LIMITS, "the answer of URL has more than 1000 bytes").await;
    let (url, _asked) = server(&["HTTP/1.1 200 Said\r\ncontent-length: 9\r\n\r\nsold"]);
    check(&url, LIMITS, "URL: end of file before message length reached").await;
    // Nobody accepts, so nobody answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let short = Limits { timeout: Duration::from_millis(50), ..LIMITS };
    check(&url, short, "URL did not answer within 50 ms").await;
    drop(silent);
    check(&url, LIMITS, "URL cannot be reached: Connection refused (os error 111)").await;
}
