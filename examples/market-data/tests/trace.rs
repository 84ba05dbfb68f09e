//! A quote's way from the feed to the public, and the traces it leaves. Alone in its binary: SQLite's threads enter spans.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says so at once")]

mod common;

use common::{eventually, with_market};
use lib_instrument::testing::{Captured, CapturedSpan};
use serde_json::json;

#[tokio::test]
async fn a_quote_comes_out_of_the_api_and_its_trace_hangs_together() {
    let (telemetry, captured) = Captured::start_for_process("market").unwrap();
    with_market((telemetry, &captured), async |market| {
        let quote = market.until("/quotes/BTC-USD", |status, _| status == 200).await;
        assert_eq!((&quote["type"], &quote["market"]), (&json!("crypto"), &json!("CRYPTO")));
        let (bid, price, ask) =
            (quote["bid"].as_f64().unwrap(), quote["price"].as_f64().unwrap(), quote["ask"].as_f64().unwrap());
        assert!(50_000.0 < bid && bid < price && price < ask && ask < 80_000.0, "{quote}");

        let history = market.until("/history/BTC-USD?limit=3", |status, _| status == 200).await;
        assert!(!history["points"].as_array().unwrap().is_empty());
        let search = market.until("/search?q=bitc", |status, _| status == 200).await;
        assert_eq!(search["listings"][0]["symbol"], "BTC-USD");
        let some = market.until("/quotes?type=crypto", |status, all| status == 200 && all["count"] != json!(0)).await;
        assert!(
            some["quotes"]
                .as_array()
                .unwrap()
                .iter()
                .all(|quote| quote["symbol"].as_str().unwrap().contains('-') || quote["symbol"] == "BTC-USD")
        );
        assert_eq!(market.get(&format!("{}/quotes/NOPE", market.api)).await.0, 404);
        assert_eq!(market.get(&format!("{}/readyz", market.api)).await.0, 200);

        let (spans, root, chain) = eventually(|| {
            let spans = captured.spans();
            let ended = |name: &str| spans.iter().any(|span| span.name == name);
            let is_answer = |span: &&CapturedSpan| span.name == "GET /history/{symbol}" && span.kind == "server";
            let root = spans.iter().rfind(|span| is_answer(span) && is_root(span))?.clone();
            let chain = chain_below(&spans, &root);
            (chain.len() == 4 && ended("INSERT tick") && ended("store ticks")).then_some((spans, root, chain))
        })
        .await;
        assert_eq!(
            chain,
            [
                "server GET /history/{symbol}",
                "client GET /history/{symbol}",
                "server GET /history/{symbol}",
                "client SELECT tick",
            ]
        );
        let store =
            spans.iter().rfind(|span| span.kind == "server" && span.trace_id == root.trace_id && !is_root(span));
        assert_eq!(store.unwrap().attributes["request_id"], root.attributes["request_id"]);
        let ticks = spans.iter().find(|span| span.name == "store ticks").expect("the first message carries a trace");
        let publish = spans.iter().find(|span| span.span_id == ticks.parent_span_id).unwrap();
        assert_eq!((publish.name.as_str(), publish.kind.as_str()), ("publish ticks", "producer"));
        assert!(spans.iter().any(|span| span.name == "INSERT tick" && span.parent_span_id == ticks.span_id));

        let log = captured.logs().into_iter().find(|log| log.body == "quote served").unwrap();
        assert!(log.trace_id.is_some() && log.attributes.contains_key("request_id"), "{log:?}");
    })
    .await;
}

fn is_root(span: &CapturedSpan) -> bool {
    span.parent_span_id.bytes().all(|b| b == b'0')
}

/// The span and, from child to child, the first below it.
fn chain_below(spans: &[CapturedSpan], root: &CapturedSpan) -> Vec<String> {
    let mut chain = vec![format!("{} {}", root.kind, root.name)];
    let mut at = root;
    while let Some(child) = spans.iter().find(|span| span.parent_span_id == at.span_id) {
        chain.push(format!("{} {}", child.kind, child.name));
        at = child;
    }
    chain
}
