//! LogQL over the store answers as it does over the simplest possible source: what the language lets a store skip by, and
//! what the store skips, fit together.

use base_signal::Labels;
use base_world::sim::SimWorld;
use observe_logql::{Engine, Query};
use observe_source::fake::FakeLogs;
use observe_source::{Budget, Cancel, Direction, LogSource};

use super::{S, Seen, entry, log_write, open, settings, tenant};

const NOW: i64 = 1_767_225_600 * S;

const QUERIES: [&str; 16] = [
    r#"{app="shop"}"#,
    r#"{app=~"shop|mail"} |= "order 7""#,
    r#"{app=~".+"} |= "id=00000000000000000000000000000011 " != "mail""#,
    r#"{app=~".+"} |= "0000000000000000000000011""#,
    r#"{app=~".+"} |~ "order (1|2) ""#,
    r#"{app=~".+"} |> "order <_> id=<_> took=<_>ms""#,
    r#"{app=~".+"} | trace_id="00000000000000000000000000000013""#,
    r#"{app=~".+"} | trace_id="00000000000000000000000000000013" | logfmt | took="5ms""#,
    r#"{app=~".+"} | level="error""#,
    r#"{app=~".+"} | level="error" or trace_id="00000000000000000000000000000017""#,
    r#"{app=~".+"} | logfmt | took > 5ms | drop took, id"#,
    r#"sum by (app) (count_over_time({app=~".+"} |= "took=3ms" [10m]))"#,
    r#"sum by (level) (rate({app=~".+"} | level!="" [10m]))"#,
    r#"count_over_time({app="shop"} | trace_id=~".*1" [20m])"#,
    r#"topk(2, sum by (app, level) (bytes_over_time({app=~".+"}[30m])))"#,
    r#"quantile_over_time(0.5, {app=~".+"} | regexp "took=(?P<t>\\d+)ms" | unwrap t [30m]) by (app)"#,
];

/// Every app twice: in one stream `level` is a label of the stream, in the other it is metadata.
fn lines() -> Vec<Seen> {
    let line = |i: usize| {
        let (app, took) = (["shop", "mail", "cart"][i % 3], i % 7);
        let (level, id) = (["info", "error"][i % 2], format!("{i:032x}"));
        let text = format!("order {} id={id} took={took}ms", i % 11);
        let time_ns = NOW - (600 - i as i64) * 6 * S;
        if i.is_multiple_of(5) {
            let labels = Labels::from_pairs([("app", app), ("level", level)]);
            entry(&labels, time_ns, &text, &[("trace_id", id.as_str())])
        } else {
            entry(&Labels::from_pairs([("app", app)]), time_ns, &text, &[("level", level), ("trace_id", id.as_str())])
        }
    };
    (0..600).map(line).collect()
}

fn ask(source: &dyn LogSource, text: &str, limit: usize, direction: Direction) -> String {
    let (tenant, budget, cancel) = (tenant(), Budget::unlimited(), Cancel::default());
    let query = Query { text, tenant: &tenant, budget: &budget, cancel: &cancel };
    let answer = Engine::default().query_range(source, &query, NOW - 3590 * S, NOW, 60_000, limit, direction);
    format!("{:#?}", answer.map(|answer| answer.data))
}

#[test]
fn logql_over_the_store() {
    let sim = SimWorld::new(21);
    let (mut store, mut model) = (open(&sim, settings()), FakeLogs::default());
    for (i, part) in lines().chunks(40).enumerate() {
        model.append(&log_write(part));
        store.append_logs(&tenant(), &log_write(part)).unwrap();
        // The newest stay in memory.
        if i % 4 == 3 {
            store.flush().unwrap();
        }
    }
    store.compact().unwrap();
    for query in QUERIES {
        for (limit, direction) in [(5_000, Direction::Forward), (7, Direction::Backward)] {
            let expect = ask(&model, query, limit, direction);
            assert!(expect.starts_with("Ok(") && expect.lines().count() > 5, "{query}: {expect}");
            assert_eq!(ask(&store, query, limit, direction), expect, "{query}");
        }
    }
}
