//! A token server as docker-registry wants one: JSON web tokens signed with ES256, their certificate inside (`x5c`). It knows `user` with `secret`, and the
//! login `a-refresh-token`; nobody else may do anything. Source: the distribution project's token specification.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base_world::World;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use connect_registry::{Always, Credentials, Kind, Nobody};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::peer::{Registry, client, put_image};

pub(crate) struct TokenServer {
    pub(crate) realm: String,
    /// What each token was for.
    given: Arc<Mutex<Vec<String>>>,
}

impl TokenServer {
    pub(crate) fn start() -> TokenServer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let realm = format!("http://{}/token", listener.local_addr().expect("bound"));
        let given = Arc::new(Mutex::new(Vec::new()));
        let remember = Arc::clone(&given);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let remember = Arc::clone(&remember);
                std::thread::spawn(move || serve(stream, &remember));
            }
        });
        TokenServer { realm, given }
    }

    pub(crate) fn given(&self) -> Vec<String> {
        self.given.lock().clone()
    }
}

fn serve(stream: TcpStream, remember: &Mutex<Vec<String>>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut basic, mut length) = (String::new(), String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => basic = value.strip_prefix("Basic ").unwrap_or_default().to_owned(),
            "content-length" => length = value.parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let target = first.split(' ').nth(1)?;
    let query = target.split_once('?').map_or("", |(_, query)| query).to_owned();
    let words = if first.starts_with("POST") { String::from_utf8(body).ok()? } else { query };
    let words: Vec<(String, String)> = url::form_urlencoded::parse(words.as_bytes()).into_owned().collect();
    let all =
        |key: &str| words.iter().filter(|(name, _)| name == key).map(|(_, value)| value.clone()).collect::<Vec<_>>();
    let known = STANDARD.decode(&basic).is_ok_and(|plain| plain == b"user:secret")
        || all("refresh_token") == ["a-refresh-token"]
        || all("password") == ["secret"];
    let scopes: Vec<String> = all("scope")
        .iter()
        .flat_map(|scope| scope.split(' '))
        .map(str::to_owned)
        .filter(|scope| !scope.is_empty())
        .collect();
    let (status, answer) = if known || basic.is_empty() && all("refresh_token").is_empty() && all("password").is_empty()
    {
        let granted = if known { scopes.clone() } else { Vec::new() };
        remember.lock().push(scopes.join(" "));
        let token = signed(&granted);
        let mut answer = json!({"token": token, "access_token": token, "expires_in": 300});
        if known && all("offline_token") == ["true"] || all("access_type") == ["offline"] {
            answer["refresh_token"] = json!("a-refresh-token");
        }
        ("200 OK", answer)
    } else {
        ("401 Unauthorized", json!({"details": "incorrect username or password"}))
    };
    let answer = answer.to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        answer.len()
    );
    reader.get_mut().write_all((head + &answer).as_bytes()).ok()
}

fn signed(scopes: &[String]) -> String {
    let pem = |text: &str| {
        let lines: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(lines).expect("base64")
    };
    let certificate = pem(include_str!("../certificates/token.pem"));
    let key = pem(include_str!("../certificates/token-key.pem"));
    let access = |scope: &String| -> Option<Value> {
        let (kind, rest) = scope.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        Some(json!({"type": kind, "name": name, "actions": actions.split(',').collect::<Vec<_>>()}))
    };
    let access: Vec<Value> = scopes.iter().filter_map(access).collect();
    let now_s = World::real().clock.now_ms() / 1000;
    let header = json!({"typ": "JWT", "alg": "ES256", "x5c": [STANDARD.encode(certificate)]});
    let claims = json!({
        "iss": "apm-test", "sub": "user", "aud": "test", "jti": "1", "access": access,
        "iat": now_s - 60, "nbf": now_s - 60, "exp": now_s + 300,
    });
    let text = format!("{}.{}", URL_SAFE_NO_PAD.encode(header.to_string()), URL_SAFE_NO_PAD.encode(claims.to_string()));
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key).expect("a key");
    let signature = key.sign(&SystemRandom::new(), text.as_bytes()).expect("signed");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

impl Registry {
    /// Whoever has a token of the server at this realm is let in.
    pub(crate) fn with_tokens(realm: &str) -> Self {
        let roots = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/certificates/token.pem");
        Self::start(|_| {
            format!("auth: {{token: {{realm: '{realm}', service: test, issuer: apm-test, rootcertbundle: {roots}}}}}\n")
        })
    }
}

#[tokio::test]
async fn a_registry_with_a_token_server_is_used_with_one_token_for_each_purpose() {
    let tokens = TokenServer::start();
    let registry = Registry::with_tokens(&tokens.realm);
    let image = registry.image("shop/cart:1");
    let known = client(Always(Credentials::password("user", "secret")));
    known.ping(&registry.address).await.expect("known");
    let manifest = put_image(&known, &image, "tokens").await;
    for _ in 0..5 {
        assert_eq!(known.resolve(&image).await.expect("known").digest, manifest.digest);
    }
    assert_eq!(known.tags(&image).await.expect("listed"), ["1"]);
    let copy = registry.image("shop/copy:1");
    let copied = known.copy(&image, &copy, None, &mut |_| {}).await.expect("copied");
    assert_eq!((copied.blobs_there, copied.blobs_sent), (2, 0), "mounted, for the token allows both repositories");
    known.delete(&copy.pinned(&manifest.digest)).await.expect("deleted");
    let mut given = tokens.given();
    let all = given.len();
    given.sort();
    given.dedup();
    assert_eq!(given.len(), all, "no token was asked for twice: {given:?}");

    let refreshing = client(Always(Credentials::Identity { token: base_http::Secret::new("a-refresh-token") }));
    assert_eq!(refreshing.resolve(&image).await.expect("known").digest, manifest.digest);
    for (stranger, words) in [
        (client(Nobody), "does not know us"),
        (client(Always(Credentials::password("user", "wrong"))), "incorrect username or password"),
        (client(Always(Credentials::Identity { token: base_http::Secret::new("wrong") })), "incorrect username"),
    ] {
        let error = stranger.manifest(&image).await.expect_err("unknown");
        assert_eq!(error.kind(), Kind::Auth, "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}
