//! h2c, and gRPC on it.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Version};
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::stage::{Server, Stage};

type Out = http_body_util::combinators::UnsyncBoxBody<Bytes, std::convert::Infallible>;

async fn connect(stage: &Stage) -> SendRequest<Out> {
    let stream = TcpStream::connect(stage.address).await.unwrap();
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn empty() -> Out {
    Full::<Bytes>::default().boxed_unsync()
}

#[tokio::test]
async fn streams_of_one_connection_run_beside_each_other() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let sender = connect(&stage).await;
    let slow = {
        let mut sender = sender.clone();
        tokio::spawn(async move {
            sender.send_request(Request::get("http://a/slow?300").body(empty()).unwrap()).await.unwrap().status()
        })
    };
    for _ in 0..50 {
        let request = Request::get("http://shop/head").header("cookie", "a=1").header("cookie", "b=2");
        let answer = sender.clone().send_request(request.body(empty()).unwrap()).await.unwrap();
        assert_eq!(answer.version(), Version::HTTP_2);
        let seen = String::from_utf8(answer.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap();
        for line in ["GET /head", "host: shop", "cookie: a=1; b=2", "via: 2 apm-front"] {
            assert!(seen.lines().any(|one| one == line), "{line} is not in\n{seen}");
        }
    }
    assert!(!slow.is_finished(), "the slow one is not waited for");
    assert_eq!(slow.await.unwrap(), 200);
}

#[tokio::test]
async fn a_grpc_call_has_its_trailers_and_streams_both_ways() {
    let blue = Server::start("blue").await;
    let stage = Stage::new(vec![blue.spec(1)]).await;
    let (send, receive) = tokio::sync::mpsc::channel::<Frame<Bytes>>(1);
    let stream =
        futures_util::stream::unfold(receive, |mut receive| async move { Some((Ok(receive.recv().await?), receive)) });
    let request = Request::post("http://a/echo")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(StreamBody::new(stream).boxed_unsync())
        .unwrap();
    let mut sender = connect(&stage).await;
    let answer = tokio::spawn(async move { sender.send_request(request).await.unwrap() });
    for turn in 0..3 {
        send.send(Frame::data(Bytes::from(format!("message {turn}")))).await.unwrap();
    }
    let mut body = answer.await.unwrap().into_body();
    let mut got = String::new();
    while !got.ends_with("message 2") {
        let frame = body.frame().await.unwrap().unwrap();
        got.push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
    }
    assert_eq!(got, "message 0message 1message 2");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    send.send(Frame::trailers(trailers.clone())).await.unwrap();
    drop(send);
    let mut last = body.frame().await.unwrap().unwrap();
    if last.data_ref().is_some_and(Bytes::is_empty) {
        last = body.frame().await.unwrap().unwrap();
    }
    assert_eq!(last.into_trailers().unwrap(), trailers);
}

#[tokio::test]
async fn a_switch_moves_streams_that_begin_after_it() {
    let (blue, green) = (Server::start("blue").await, Server::start("green").await);
    let h2 = |server: &Server| {
        let mut spec = server.spec(1);
        spec.protocol = app_gateway::Protocol::H2;
        spec
    };
    let stage = Stage::new(vec![h2(&blue)]).await;
    let sender = connect(&stage).await;
    let ask = async || {
        let answer = sender.clone().send_request(Request::get("http://a/").body(empty()).unwrap()).await.unwrap();
        answer.into_body().collect().await.unwrap().to_bytes()
    };
    let mut long = sender.clone().send_request(Request::get("http://a/drip?600").body(empty()).unwrap()).await.unwrap();
    assert_eq!(ask().await, "blue");
    stage.switch(vec![h2(&green)]).await;
    assert_eq!(ask().await, "green");
    // What had begun goes on to its end.
    let mut drops = 0;
    while let Some(frame) = long.body_mut().frame().await {
        drops += frame.unwrap().data_ref().map_or(0, Bytes::len) / 5;
    }
    assert!(drops > 3, "{drops}");
    assert!(stage.control.drain(&crate::switch::drain("blue")).await.unwrap().drained);
}
