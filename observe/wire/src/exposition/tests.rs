//! Texts as exporters write them, and what is wrong with broken ones.

use base_signal::MetricKind;

use super::*;

fn rows(body: &str, format: Format) -> Result<Vec<String>, String> {
    let mut shown = Vec::new();
    let pairs = |labels: &[(std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)]| {
        labels.iter().map(|(n, v)| format!("{n}={v:?}")).collect::<Vec<_>>().join(",")
    };
    parse(body, format, |item| {
        shown.push(match item {
            Item::Sample(row) => {
                let time = row.time_ms.map(|t| format!(" @{t}")).unwrap_or_default();
                let exemplar = row.exemplar.as_ref().map(|e| {
                    let time = e.time_ms.map(|t| format!(" @{t}")).unwrap_or_default();
                    format!(" # {{{}}} {}{time}", pairs(&e.labels), e.value)
                });
                format!("{}{{{}}} {}{time}{}", row.name, pairs(&row.labels), row.value, exemplar.unwrap_or_default())
            }
            Item::Kind { family, kind } => format!("type {family} {}", kind.as_str()),
            Item::Help { family, text } => format!("help {family} {text:?}"),
            Item::Unit { family, unit } => format!("unit {family} {unit}"),
        });
    })
    .map(|()| shown)
    .map_err(|e| e.to_string())
}

fn check(body: &str, expect: &[&str]) {
    assert_eq!(rows(body, Format::Prometheus).unwrap(), expect, "{body}");
}

fn check_open(body: &str, expect: &[&str]) {
    assert_eq!(rows(body, Format::OpenMetrics).unwrap(), expect, "{body}");
}

fn check_error(body: &str, format: Format, expect: &str) {
    assert_eq!(rows(body, format).unwrap_err(), expect, "{body}");
}

#[test]
fn prometheus_text() {
    check("up 1\n", &["up{} 1"]);
    check("up{} 1", &["up{} 1"]);
    check("up { a = \"x\" , b=\"y\", } 1.5e3 1700000000000\r\n", &["up{a=\"x\",b=\"y\"} 1500 @1700000000000"]);
    check("a{p=\"C:\\\\d\\n\\\"q\\\" \\x é}\"} NaN\n", &["a{p=\"C:\\\\d\\n\\\"q\\\" \\\\x é}\"} NaN"]);
    check("a +Inf\nb -inf -5\n", &["a{} inf", "b{} -inf @-5"]);
    check("# just a comment\n#\n\n  \n\tup 1 \n", &["up{} 1"]);
    check(
        "# HELP up Is it\\nthere? \\\\ \n# TYPE up gauge\n# HELP x\n",
        &["help up \"Is it\\nthere? \\\\ \"", "type up gauge", "help x \"\""],
    );
    check(
        "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4\nother_bucket{le=\"1\"} 1\n",
        &[
            "type h histogram",
            "h_bucket{le=\"1.0\"} 2",
            "h_bucket{le=\"+Inf\"} 3",
            "h_sum{} 4",
            "other_bucket{le=\"1\"} 1",
        ],
    );
    check(
        "# TYPE s summary\ns{quantile=\"0.50\"} 1\ns{quantile=\"1\"} 1\n",
        &["type s summary", "s{quantile=\"0.5\"} 1", "s{quantile=\"1.0\"} 1"],
    );
    check("{\"utf.8 name\", \"l.1\"=\"v\"} 1\n", &["utf.8 name{l.1=\"v\"} 1"]);
    check("a{b=\"c\" d=\"e\"} 1", &["a{b=\"c\",d=\"e\"} 1"]);
    check("#TYPE a odd\n# HELP\n# TYPE\n", &[]);
    check("", &[]);
}

#[test]
fn openmetrics_text() {
    check_open(
        "# TYPE hits counter\n# UNIT hits_seconds seconds\nhits_total{a=\"b\"} 3 12.5 # {trace_id=\"abc\"} 0.5 12.25\nhits_created 12\n# EOF\n",
        &[
            "type hits counter",
            "unit hits_seconds seconds",
            "hits_total{a=\"b\"} 3 @12500 # {trace_id=\"abc\"} 0.5 @12250",
            "hits_created{} 12",
        ],
    );
    check_open("a 1 # {} 2\n# EOF", &["a{} 1 # {} 2"]);
}

#[test]
fn errors_say_line_and_column() {
    use Format::{OpenMetrics, Prometheus};
    check_error(
        "ok 1\n1up 1\n",
        Prometheus,
        "line 2, column 1: a metric name expected, found '1'; the line begins \"1up 1\"",
    );
    check_error("up one", Prometheus, "line 1, column 4: a number expected, found 'o'; the line begins \"up one\"");
    check_error(
        "up",
        Prometheus,
        "line 1, column 3: a number expected, found the end of the line; the line begins \"up\"",
    );
    check_error(
        "up{a=\"x} 1",
        Prometheus,
        "line 1, column 11: a closing double quote expected, found the end of the line; the line begins \"up{a=\\\"x} 1\"",
    );
    check_error(
        "up{a=1} 1",
        Prometheus,
        "line 1, column 6: a text in double quotes expected, found '1'; the line begins \"up{a=1} 1\"",
    );
    check_error(
        "up{a=\"1\",a=\"2\"} 1",
        Prometheus,
        "line 1, column 15: label \"a\" is given twice; the line begins \"up{a=\\\"1\\\",a=\\\"2\\\"} 1\"",
    );
    check_error(
        "up 1 2 3",
        Prometheus,
        "line 1, column 8: the end of the line expected, found '3'; the line begins \"up 1 2 3\"",
    );
    check_error("up 0x1p4", Prometheus, "line 1, column 4: a number expected, found '0'; the line begins \"up 0x1p4\"");
    check_error(
        "# TYPE up thing",
        Prometheus,
        "line 1, column 10: \"thing\" is not a metric type; counter, gauge, histogram, summary and untyped are the usual ones; the line begins \"# TYPE up thing\"",
    );
    check_error(
        "up 1\n",
        OpenMetrics,
        "line 2, column 1: the text ends without # EOF: it was cut off; the line begins \"\"",
    );
    check_error("# EOF\nup 1\n", OpenMetrics, "line 2, column 1: nothing may follow # EOF; the line begins \"up 1\"");
}

#[test]
fn what_is_written_is_read_again() {
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let mut writer = TextWriter::new(format);
        writer.family("hits_total", MetricKind::Counter, "A \"count\"\\\nof hits");
        let exemplar = ExemplarOf { labels: &[("traceID", "ab")], value: 0.25, time_ms: Some(1500) };
        writer.sample_with("hits_total", &[("path", "a\\b\"c\nd")], 3.0, Some(2500), Some(exemplar));
        writer.family("t", MetricKind::Gauge, "").sample("t", &[], f64::NEG_INFINITY);
        let text = writer.finish();
        let mut expect = match format {
            Format::Prometheus => vec!["help hits_total \"A \\\"count\\\"\\\\\\nof hits\"", "type hits_total counter"],
            Format::OpenMetrics => vec!["help hits \"A \\\"count\\\"\\\\\\nof hits\"", "type hits counter"],
        };
        expect.push(match format {
            Format::Prometheus => "hits_total{path=\"a\\\\b\\\"c\\nd\"} 3 @2500",
            Format::OpenMetrics => "hits_total{path=\"a\\\\b\\\"c\\nd\"} 3 @2500 # {traceID=\"ab\"} 0.25 @1500",
        });
        expect.extend(["type t gauge", "t{} -inf"]);
        assert_eq!(rows(&text, format).unwrap(), expect, "{text}");
    }
}

#[test]
fn floats_as_go_prints_them() {
    for (number, expect) in [
        (0.0, "0"),
        (1.0, "1"),
        (-2.5, "-2.5"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (1.5e300, "1.5e+300"),
        (0.0001, "0.0001"),
        (0.00001, "1e-05"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (f64::NAN, "NaN"),
        (f64::INFINITY, "+Inf"),
    ] {
        assert_eq!(format_float(number), expect);
    }
}

#[test]
fn content_negotiation() {
    assert_eq!(
        Format::from_content_type("application/openmetrics-text; version=1.0.0; charset=utf-8"),
        Format::OpenMetrics
    );
    assert_eq!(Format::from_content_type("text/plain; version=0.0.4"), Format::Prometheus);
    assert_eq!(Format::from_accept("*/*"), Format::Prometheus);
    assert_eq!(Format::from_accept(Format::ACCEPT), Format::OpenMetrics);
}

#[test]
fn formats_by_their_header() {
    assert_eq!(Format::from_content_type(Format::Prometheus.content_type()), Format::Prometheus);
    assert_eq!(Format::from_content_type(Format::OpenMetrics.content_type()), Format::OpenMetrics);
    assert_eq!(Format::from_accept(Format::ACCEPT), Format::OpenMetrics);
    assert_eq!(Format::from_accept("text/plain, */*"), Format::Prometheus);
}

#[test]
fn limits_and_words_that_are_no_kind() {
    let long = format!("up 1\na{{b=\"{}\"}} 1\n", "x".repeat(2 << 20));
    let error = rows(&long, Format::Prometheus).unwrap_err();
    assert!(error.contains("line 2") && error.contains("bytes; at most"), "{error}");
    let labels: Vec<_> = (0..=1024).map(|i| format!("l{i}=\"x\"")).collect();
    let error = rows(&format!("a{{{}}} 1", labels.join(",")), Format::Prometheus).unwrap_err();
    assert!(error.contains("more than ") && error.contains(" labels"), "{error}");
    let error = rows("# TYPE up gague\n", Format::Prometheus).unwrap_err();
    assert!(error.contains(r#""gague" is not a metric type; counter, gauge, histogram"#), "{error}");
    let error = rows("{a=\"b\"} 1", Format::Prometheus).unwrap_err();
    assert!(error.contains("a metric name, before or inside of the braces expected"), "{error}");
    // Names in quotes, as Prometheus 3 writes those outside of the classic letters.
    check("# TYPE \"my.metric\" gauge\n{\"my.metric\",a=\"b\"} 1\n", &["type my.metric gauge", "my.metric{a=\"b\"} 1"]);
    check("# HELP a ends in \\\n", &[r#"help a "ends in \\""#]);
}

#[test]
fn kinds_that_the_older_format_does_not_know() {
    let word = |format: Format, kind: MetricKind| {
        let mut writer = TextWriter::new(format);
        writer.family("m", kind, "");
        writer.finish().lines().next().unwrap_or_default().to_owned()
    };
    for (kind, plain, open) in [
        (MetricKind::Unknown, "untyped", "unknown"),
        (MetricKind::Info, "gauge", "info"),
        (MetricKind::StateSet, "gauge", "stateset"),
        (MetricKind::GaugeHistogram, "gauge", "gaugehistogram"),
        (MetricKind::Summary, "summary", "summary"),
    ] {
        assert_eq!(word(Format::Prometheus, kind), format!("# TYPE m {plain}"));
        assert_eq!(word(Format::OpenMetrics, kind), format!("# TYPE m {open}"));
    }
}
