//! Raw lines and names, as tables.

use super::super::PodRef;
use super::super::line::{Stream, parse, unix_ns};
use super::super::place::LogName;

fn check(raw: &str, expect: &str) {
    let line = parse(raw.as_bytes());
    let text = String::from_utf8_lossy(&line.text);
    let said = match line.said {
        None => "malformed".to_owned(),
        Some((time_ns, stream)) => {
            format!("{time_ns} {}{}", stream.as_str(), if line.partial { " partial" } else { "" })
        }
    };
    assert_eq!(format!("{said}: {text}"), expect, "{raw}");
}

#[test]
fn lines_of_both_formats() {
    check("1970-01-01T00:00:01.000000002Z stdout F hello world", "1000000002 stdout: hello world");
    check("1970-01-01T00:00:01Z stderr P  two  spaces ", "1000000000 stderr partial:  two  spaces ");
    check("1970-01-01T02:00:01.5+02:00 stdout F:x y", "1500000000 stdout: y");
    check("1970-01-01T00:00:01Z stdout F ", "1000000000 stdout: ");
    check("1970-01-01T00:00:01Z stdout F", "1000000000 stdout: ");
    check(r#"{"log":"a \"b\"\n","stream":"stderr","time":"1970-01-01T00:00:01Z"}"#, "1000000000 stderr: a \"b\"");
    check(r#"{"log":"half","stream":"stdout","time":"1970-01-01T00:00:01Z"}"#, "1000000000 stdout partial: half");
    check(r#"{"log":"x\n","stream":"stdout","attrs":{"a":"b"},"time":"1970-01-01T00:00:01Z"}"#, "1000000000 stdout: x");
    for bad in [
        "",
        "hello",
        "1970-01-01T00:00:01Z stdin F x",
        "1970-01-01T00:00:01Z stdout X x",
        "1970-13-01T00:00:01Z stdout F x",
        "1970-01-01 00:00:01Z stdout F x",
        r#"{"log":"x\n","stream":"stdout"}"#,
        r#"{"log":"x\n","stream":"stdout","time":"yesterday"}"#,
        r#"{"log":"#,
    ] {
        check(bad, &format!("malformed: {bad}"));
    }
}

#[test]
fn times_as_rfc_3339_has_them() {
    for (time, expect) in [
        ("2026-02-28T23:59:59.999999999Z", Some(1_772_323_199_999_999_999)),
        ("2024-02-29T12:00:00-05:30", Some(1_709_227_800_000_000_000)),
        ("2000-01-01T00:00:00.1234567891234Z", Some(946_684_800_123_456_789)),
        ("1969-12-31T23:59:59Z", Some(-1_000_000_000)),
        ("9999-12-31T23:59:59Z", None),
        ("2026-02-28T24:00:00Z", None),
        ("2026-02-28T23:59:59", None),
        ("2026-02-28T23:59:59Zx", None),
        ("2026-02-28T23:59:59+0200", None),
        ("", None),
    ] {
        assert_eq!(unix_ns(time.as_bytes()), expect, "{time}");
    }
}

#[test]
fn names_say_which_file_is_older() {
    let names = ["0.log.20260101-000000", "0.log.20260102-000000", "0.log", "1.log.2", "1.log.1", "1.log", "10.log"];
    let read: Vec<LogName> = names.iter().filter_map(|name| LogName::of_file(name)).collect();
    assert_eq!(read.len(), names.len());
    assert!(read.is_sorted() && read.windows(2).all(|pair| pair[0] != pair[1]), "{read:?}");
    for other in [
        "0.log.20260101-000000.gz",
        "0.log.20260101-000000.tmp",
        ".log",
        "a.log",
        "0.txt",
        "0.logs",
        "0.log.",
        "99999999999.log",
    ] {
        assert_eq!(LogName::of_file(other), None, "{other}");
    }
    let pod = |namespace: &str, name: &str, uid: &str| PodRef {
        namespace: namespace.into(),
        name: name.into(),
        uid: uid.into(),
    };
    assert_eq!(PodRef::of_folder("a_b-1.c_d"), Some(pod("a", "b-1.c", "d")));
    for other in ["a_b", "a_b_c_d", "a__c", "_b_c", "lost+found", ""] {
        assert_eq!(PodRef::of_folder(other), None, "{other}");
    }
}

#[test]
fn any_bytes_are_some_line() {
    proptest::proptest!(|(raw: Vec<u8>)| {
        let line = parse(&raw);
        proptest::prop_assert!(line.text.len() <= raw.len());
    });
    assert_eq!(Stream::Stderr.as_str(), "stderr");
}
