//! The questions of registries for who we are, and what they are told.

use std::sync::Arc;

use base_http::Secret;
use base_world::sim::SimClock;
use connect_registry::{Always, Client, Credentials, Kind, Nobody, Options};

use crate::server::{ANN_BASIC, Answer, Server, ann, answer, client};

/// A registry that takes tokens of this server only: `token-N` for the N-th.
async fn registry(tokens: &Server) -> Server {
    let challenge =
        format!(r#"Bearer realm="http://{}/token",service="test",scope="repository:a:pull""#, tokens.address);
    Server::start(move |asked| match asked.header("authorization") {
        Some(word) if word.starts_with("Bearer token-") => answer(200, r#"{"tags":["1"]}"#),
        _ => answer(401, "").with("www-authenticate", &challenge),
    })
    .await
}

fn counting(expires_in: &'static str) -> impl FnMut(&crate::server::Asked) -> Answer {
    let mut number = 0;
    move |_| {
        number += 1;
        answer(200, format!(r#"{{"token": "token-{number}"{expires_in}}}"#))
    }
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_anew_before_it_runs_out() {
    let tokens = Server::start(counting(r#", "expires_in": 300"#)).await;
    let registry = registry(&tokens).await;
    let clock = Arc::new(SimClock::at_ms(1_000_000));
    let known = Client::new(Arc::new(Always(ann())), clock.clone(), Options::default()).expect("a client");
    let list = async || known.tags(&registry.image()).await.expect("listed");
    list().await;
    let first = &tokens.asked()[0];
    assert_eq!(first.line(), "GET /token?service=test&scope=repository%3Aa%3Apull&account=ann");
    assert_eq!(first.header("authorization"), Some(ANN_BASIC));
    let said = |at: usize| registry.asked()[at].header("authorization").map(str::to_owned);
    // The registry itself never hears the password.
    assert_eq!((said(0), said(1).as_deref()), (None, Some("Bearer token-1")));
    clock.advance_ms(269_000);
    list().await;
    assert_eq!((tokens.lines().len(), said(2).as_deref()), (1, Some("Bearer token-1")));
    // Half a minute before its end it is no longer used.
    clock.advance_ms(2_000);
    list().await;
    assert_eq!((tokens.lines().len(), said(3).as_deref()), (2, Some("Bearer token-2")));
    assert_eq!(registry.lines().len(), 4, "no request was refused for an old token");
}

#[tokio::test]
async fn a_token_that_the_registry_no_longer_takes_is_replaced() {
    let tokens = Server::start(counting("")).await;
    let challenge = format!(r#"Bearer realm="http://{}/token",service="test",error="invalid_token""#, tokens.address);
    // The second request with the first token is refused.
    let mut first = 0;
    let registry = Server::start(move |asked| {
        first += usize::from(asked.header("authorization") == Some("Bearer token-1"));
        match asked.header("authorization") {
            Some(word) if word.starts_with("Bearer token-") && (first < 2 || word == "Bearer token-2") => {
                answer(200, r#"{"tags":[]}"#)
            }
            _ => answer(401, "").with("www-authenticate", &challenge),
        }
    })
    .await;
    let known = client(Nobody);
    known.tags(&registry.image()).await.expect("listed");
    known.tags(&registry.image()).await.expect("listed with a new token");
    let scopes: Vec<_> = tokens.lines();
    assert_eq!(scopes, ["GET /token?service=test&scope=repository%3Aa%3Apull"; 2]);
}

#[tokio::test]
async fn a_login_that_is_a_token_is_changed_for_tokens() {
    let tokens = Server::start(|_| answer(200, r#"{"access_token": "token-x", "expires_in": 60}"#)).await;
    let registry = registry(&tokens).await;
    let known = client(Always(Credentials::Identity { token: Secret::new("long") }));
    known.tags(&registry.image()).await.expect("listed");
    let asked = &tokens.asked()[0];
    let form = String::from_utf8_lossy(&asked.body).into_owned();
    assert_eq!(asked.line(), "POST /token");
    let expect = "grant_type=refresh_token&service=test&client_id=apm&scope=repository%3Aa%3Apull&refresh_token=long";
    assert_eq!(form, expect);
    // A registry's own token goes to the registry as it is.
    let known = client(Always(Credentials::Bearer { token: Secret::new("token-own") }));
    known.tags(&registry.image()).await.expect("listed");
    assert_eq!(tokens.lines().len(), 1);
}

/// The error of listing tags where the token server says this.
async fn check(credentials: Option<Credentials>, token: Answer, kind: Kind, words: &str) {
    let tokens = Server::start(move |_| token.clone()).await;
    let registry = registry(&tokens).await;
    let known = match credentials {
        Some(credentials) => client(Always(credentials)),
        None => client(Nobody),
    };
    let error = known.tags(&registry.image()).await.expect_err("no token");
    assert_eq!(error.kind(), kind, "{error:?}");
    let text = format!("{error} {error:?}");
    assert!(text.contains(words), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("YW5u"), "{text}");
    assert!(tokens.lines().len() <= 1 && registry.lines().len() <= 2, "asked again and again");
}

#[tokio::test]
async fn token_servers_that_give_none_are_told_apart() {
    let wrong = answer(401, r#"{"details":"incorrect username or password"}"#);
    check(Some(ann()), wrong, Kind::Auth, "incorrect username").await;
    check(None, answer(403, ""), Kind::Permission, "status 403").await;
    check(None, answer(429, "slow"), Kind::Throttled, "slow").await;
    check(None, answer(503, ""), Kind::Transient, "status 503").await;
    check(None, Answer::closed(), Kind::Transient, "/token").await;
    check(None, answer(200, "<html>"), Kind::Unknown, "no JSON").await;
    check(None, answer(200, "{}"), Kind::Unknown, "no token").await;
    check(None, answer(200, r#"{"token":"a\r\nx: y"}"#), Kind::Unknown, "no header may have").await;
    check(None, answer(200, "x".repeat(1 << 16)).endless(), Kind::Transient, "more than 1048576 bytes").await;
    // It gives one, and the registry does not take it.
    check(None, answer(200, r#"{"token":"other"}"#), Kind::Auth, "does not know us").await;
}

#[tokio::test]
async fn a_password_goes_to_whom_it_is_for() {
    // Nobody logged in: asked once, and told what to do.
    let registry = Server::start(|_| answer(401, "").with("www-authenticate", "Basic realm=\"x\"")).await;
    let error = client(Nobody).ping(&registry.address).await.expect_err("unknown");
    assert_eq!((error.kind(), registry.lines().len()), (Kind::Auth, 1));
    assert!(error.hint().contains("apm registry login"), "{}", error.hint());
    // A wrong password is said once, not until the account is locked.
    let registry = Server::start(|_| answer(401, "").with("www-authenticate", "Basic realm=\"x\"")).await;
    let error = client(Always(ann())).ping(&registry.address).await.expect_err("wrong");
    assert_eq!((error.kind(), registry.lines().len()), (Kind::Auth, 2));
    // A realm that is no place for a password.
    for realm in ["ftp://127.0.0.1/token", "no URL", ""] {
        let challenge = format!("Bearer realm=\"{realm}\"");
        let registry = Server::start(move |_| answer(401, "").with("www-authenticate", &challenge)).await;
        let error = client(Always(ann())).ping(&registry.address).await.expect_err("refused");
        assert_eq!(error.kind(), Kind::Invalid, "{error:?}");
    }
}
