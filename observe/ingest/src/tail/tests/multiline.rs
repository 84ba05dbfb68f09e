//! Lines that are one record: traces as runtimes print them, patterns of settings and annotations, and the limits.

use std::sync::Arc;

use serde_json::json;

use super::super::{Lookup, MultilineRule, PodFacts, PodMetadata, PodRef, facts_of};
use super::{Story, cri};

const JAVA: &str = "2026-01-01 12:00:00 ERROR order failed
java.lang.IllegalStateException: no stock
\tat shop.Cart.order(Cart.java:42)
\tat shop.Main.main(Main.java:7)
Caused by: java.io.IOException: gone
\tat shop.Stock.take(Stock.java:12)
\t... 2 more
2026-01-01 12:00:01 INFO next";

const PYTHON: &str = "ERROR:root:order failed
Traceback (most recent call last):
  File \"/app/cart.py\", line 42, in order
    stock.take()
    ~~~~~~~~~~^^
KeyError: 'sku'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File \"/app/main.py\", line 7, in <module>
    order()
RuntimeError: no stock
INFO:root:next";

const GO: &str = "2026/01/01 12:00:00 serving
panic: runtime error: index out of range [3] with length 2
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x4bd2]

goroutine 1 [running]:
main.(*cart).order(0xc000012120, 0x3)
\t/app/cart.go:42 +0x1d
main.main()
\t/app/main.go:7 +0x2a
exit status 2
2026/01/01 12:00:01 serving";

const NODE: &str = "TypeError: stock is not a function
    at order (/app/cart.js:42:7)
    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)
next";

/// The lines of `text` come as so many records, each with so many lines of it; and all of them are there.
fn check(settings: impl Fn(&mut Story), text: &str, expect: &[usize]) {
    let mut on = Story::new();
    on.settings.line_max_bytes = 4000;
    settings(&mut on);
    for line in text.lines() {
        on.write("0.log", &cri("stdout F", line));
    }
    let came = on.take(5);
    let lines: Vec<usize> = came.iter().map(|record| record.split('\n').count()).collect();
    assert_eq!(lines, expect, "{came:#?}");
    assert_eq!(came.join("\n"), text);
}

#[test]
fn stack_traces_are_one_record_each_without_a_setting() {
    check(|_| (), JAVA, &[1, 6, 1]);
    check(|_| (), PYTHON, &[1, 12, 1]);
    check(|_| (), GO, &[1, 9, 1]);
    check(|_| (), NODE, &[3, 1]);
    // Lines that only speak of errors stand alone.
    check(|_| (), "an Error came\nErrorHandler is ready\nno panic\nat noon\nerror: x\n  indented", &[1; 6]);
}

fn rule(start: &str) -> MultilineRule {
    MultilineRule { namespace: None, pod: None, container: None, start: start.into() }
}

#[test]
fn a_pattern_of_the_settings_says_where_records_start() {
    let text = "  begins in the middle\n[1] one\ntwo\n\nthree\n[2] other";
    check(|on| on.settings.multiline = vec![rule(r"^\[\d+\]")], text, &[1, 4, 1]);
    check(|on| on.settings.multiline = vec![rule("off"), rule("^x")], JAVA, &[1; 8]);
    // The first that is for this container: shop/web-6d4c…/web.
    let of = |namespace: Option<&str>, pod: Option<&str>, container: Option<&str>| {
        let own = |text: Option<&str>| text.map(str::to_owned);
        MultilineRule { namespace: own(namespace), pod: own(pod), container: own(container), start: "off".into() }
    };
    for other in [of(Some("till"), None, None), of(None, Some("cart-"), None), of(None, None, Some("sidecar"))] {
        check(|on| on.settings.multiline = vec![other.clone(), rule(r"^\[")], text, &[1, 4, 1]);
    }
    let ours = of(Some("shop"), Some("web-"), Some("web"));
    check(|on| on.settings.multiline = vec![ours.clone(), rule(r"^\[")], text, &[1; 6]);
    let wrong = serde_json::from_value::<MultilineRule>(json!({"start": "(", "container": "web"}));
    assert!(wrong.expect_err("a pattern").to_string().contains("`(` is no pattern of a first line"));
}

struct Asks(Arc<PodFacts>);

impl PodMetadata for Asks {
    fn pod(&self, _: &PodRef) -> Lookup {
        Lookup::Known(self.0.clone())
    }
}

#[test]
fn what_a_pod_asks_for_stands_before_the_settings() {
    let text = "> one\ntwo\n> three";
    for (annotations, expect) in [
        (json!({"apm.dev/logs-multiline": "^>"}), &[2, 1][..]),
        (json!({"apm.dev/logs-multiline.web": "^>", "apm.dev/logs-multiline": "off"}), &[2, 1]),
        (json!({"apm.dev/logs-multiline.other": "^>", "apm.dev/logs-multiline": "off"}), &[1, 1, 1]),
        (json!({"apm.dev/logs-multiline": "auto"}), &[1, 1, 1]),
        // What is no pattern is told, and traces are found by themselves.
        (json!({"apm.dev/logs-multiline": "("}), &[1, 1, 1]),
        (json!({}), &[3]),
    ] {
        let facts = Arc::new(facts_of(&json!({"metadata": {"annotations": annotations}})));
        check(
            |on| {
                on.settings.multiline = vec![rule("^never")];
                on.pods = Arc::new(Asks(facts.clone()));
            },
            text,
            expect,
        );
    }
}

#[test]
fn a_record_is_bounded_in_bytes_lines_and_time() {
    // In bytes: what has no room begins another, nothing is cut.
    let text = format!("> {}\n{}\n{}", "a".repeat(100), "b".repeat(100), "c".repeat(100));
    let bounded = |on: &mut Story| (on.settings.line_max_bytes, on.settings.multiline) = (256, vec![rule("^>")]);
    check(bounded, &text, &[2, 1]);
    let text: Vec<String> = (0..2500).map(|number| format!("{number}")).collect();
    let many = |on: &mut Story| (on.settings.line_max_bytes, on.settings.multiline) = (1 << 20, vec![rule("^>")]);
    check(many, &text.join("\n"), &[1000, 1000, 500]);
    // In time.
    let mut on = Story::new();
    on.settings.multiline = vec![rule("^>")];
    on.write("0.log", &cri("stdout F", "> one"));
    assert_eq!(on.take(3), ["> one"]);
    on.write("0.log", &cri("stdout F", "too late"));
    assert_eq!(on.take(3), ["too late"]);
}

#[test]
fn a_record_is_whole_over_a_rotation_and_a_restart_of_the_reader() {
    let mut on = Story::new();
    on.settings.multiline = vec![rule("^>")];
    on.settings.multiline_wait_ms = 5000;
    on.write("0.log", &cri("stdout F", "> one"));
    assert_eq!(on.take(1), [""; 0]);
    on.rename("0.log", "0.log.20260101-000000");
    on.write("0.log", &cri("stdout F", "two"));
    assert_eq!(on.take(1), [""; 0]);
    on.stop();
    on.write("0.log", &(cri("stderr F", "> between") + &cri("stdout P", "thr") + &cri("stdout F", "ee")));
    on.write("0.log", &cri("stdout F", "> next"));
    let mut came = on.take(8);
    came.sort();
    assert_eq!(came, ["> between", "> next", "> one\ntwo\nthree"]);
    on.stop();
    assert_eq!(on.take(8), [""; 0]);
}
