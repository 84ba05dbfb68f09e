//! Templates and what Go makes of them; every expectation was seen of Go 1.25's `text/template`.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::{Functions, Limits, Struct, Template, Value};

struct Known;

impl Functions for Known {
    fn knows(&self, name: &str) -> bool {
        name == "shout"
    }

    fn call(&self, _: &str, args: &[Value]) -> Result<Value, String> {
        match args {
            [Value::Text(text)] => Ok(Value::Text(text.to_uppercase())),
            _ => Err("one text is wanted".to_owned()),
        }
    }
}

fn check(text: &str, expect: &str) {
    let labels = Arc::new(BTreeMap::from([("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d".to_owned())]));
    let items = Value::List(vec![Value::Int(1), Value::Int(2)]);
    let fields = vec![("A", "v".into()), ("L", Value::Texts(labels)), ("F", Value::Float(1.5)), ("I", items)];
    let data = Value::Struct(Arc::new(Struct { type_name: "struct", fields }));
    let limits = Limits { bytes_max: 10_000, steps_max: 10_000 };
    let got = match Template::parse("t", text, &Known, &["$value"]) {
        Err(error) => format!("parse: {error}"),
        Ok(template) => match template.render(&data, &[("$value", Value::Float(2.0))], &Known, limits) {
            Ok(text) => text,
            Err(error) => format!("error: {error}"),
        },
    };
    assert_eq!(got, expect, "{text}");
}

#[test]
fn what_is_printed() {
    for (text, expect) in [
        ("plain", "plain"),
        ("{{/* a */}}x", "x"),
        ("a {{- 3 -}} b", "a3b"),
        ("{{.A}} {{.L.a}} {{.L.none}}|{{.L}}", "v b |map[a:b c:d]"),
        ("{{$value}} {{ $value | printf \"%.2f\" }}", "2 2.00"),
        ("{{print 1 2 \"a\" \"b\" 3 4.5}}|{{println 1 2}}", "1 2ab3 4.5|1 2\n"),
        ("{{len .L}}{{index .L \"zz\"}}{{index .I 1}}{{slice \"abcdef\" 1 3}}", "22bc"),
        (
            "{{1e6}} {{123456.0}} {{1e20}} {{1e-5}} {{0x10}} {{'a'}} {{1_000}} {{-5}} {{.5}}",
            "1e+06 123456 1e+20 1e-05 16 97 1000 -5 0.5",
        ),
        ("{{and 1 0}} {{or 0 2}} {{not 1}}", "0 2 false"),
        (
            "{{lt 1.5 2.5}} {{gt \"b\" \"a\"}} {{eq 1 2 3 1}} {{ne 1 2}} {{ge 1 1}} {{le 2 1}}",
            "true true true true true false",
        ),
        ("{{html \"<a>\"}}{{urlquery \"a b\"}}{{printf \"%d%%\" 5}}", "&lt;a&gt;a+b5%"),
        ("{{\"abc\" | len}}{{print (1) (len \"abc\")}}{{print nil}}", "31 3<nil>"),
        ("{{.A | shout}}{{shout `raw`}}", "VRAW"),
    ] {
        check(text, expect);
    }
}

#[test]
fn what_is_chosen_and_repeated() {
    for (text, expect) in [
        ("{{if eq .A \"x\"}}a{{else if .A}}b{{else}}c{{end}}", "b"),
        ("{{if false}}a{{end}}{{if .L.none}}b{{else}}c{{end}}", "c"),
        ("{{with .L.a}}{{.}}{{end}}{{with 0}}a{{else with 1}}{{.}}{{else}}z{{end}}", "b1"),
        ("{{range .I}}{{.}},{{end}}{{range 3}}{{.}}{{end}}", "1,2,012"),
        (
            "{{range $k, $v := .L}}{{$k}}={{$v}};{{end}}{{range $i, $e := .I}}{{$i}}{{$e}}{{$.A}} {{end}}",
            "a=b;c=d;01v 12v ",
        ),
        ("{{range .I}}{{if eq . 2}}{{continue}}{{end}}{{.}}{{else}}none{{end}}", "1"),
        ("{{range 9}}{{if eq . 2}}{{break}}{{end}}{{.}}{{end}}", "01"),
        ("{{$x := 1}}{{if true}}{{$x = 2}}{{end}}{{$x}}{{if true}}{{$x := 3}}{{$x}}{{end}}{{$x}}", "232"),
        ("{{define \"T\"}}[{{.}}]{{end}}{{template \"T\" 5}}{{template \"T\" .A}}", "[5][v]"),
    ] {
        check(text, expect);
    }
}

#[test]
fn numbers_as_go_formats_them() {
    for (arguments, expect) in [
        ("\"%.4g\" 1234567.0", "1.235e+06"),
        ("\"%.4g\" 0.5", "0.5"),
        ("\"%.4g\" 100.0", "100"),
        ("\"%.3v|%6.2f|%-6d|%05d|%x\" 1.23456 3.14159 5 42 255", "1.23|  3.14|5     |00042|ff"),
        ("\"%q %t %s %d %f\" \"a\\\"b\" true 5.0 5.0 5", "\"a\\\"b\" true %!s(float64=5) %!d(float64=5) %!f(int=5)"),
        ("\"%e %+d %v\" 12345.678 5 1e6", "1.234568e+04 +5 1e+06"),
        ("\"%d\"", "%!d(MISSING)"),
        ("\"x\" 5", "x%!(EXTRA int=5)"),
        ("\"%z\" 5", "%!z(int=5)"),
    ] {
        check(&format!("{{{{printf {arguments}}}}}"), expect);
    }
}

#[test]
fn what_is_no_template() {
    for (text, why) in [
        ("{{if}}a{{end}}", "missing value for if"),
        ("{{.A", "unclosed action"),
        ("{{end}}", "unexpected {{end}}"),
        ("{{$x}}", "undefined variable \"$x\""),
        ("{{if true}}{{$x := 1}}{{end}}{{$x}}", "undefined variable \"$x\""),
        ("{{foo}}", "function \"foo\" not defined"),
        ("{{if 1}}", "unexpected EOF"),
        ("{{ \"a }}", "unterminated quoted string"),
        ("{{1 | 2}}", "non executable command in pipeline stage 2"),
        ("{{else}}", "unexpected {{else}}"),
        ("{{break}}", "{{break}} outside {{range}}"),
        ("{{.a-b}}", "bad character U+002D '-'"),
        ("{{(1}}", "unclosed left paren"),
    ] {
        check(text, &format!("parse: template: t:1: {why}"));
    }
    check("a\nb\n{{foo}}", "parse: template: t:3: function \"foo\" not defined");
    check(&"{{if 1}}".repeat(500), "parse: template: t:1: more than 100 levels within each other");
}

#[test]
fn what_comes_to_nothing() {
    for (text, at, why) in [
        ("{{.B}}", ".B", "can't evaluate field B in type struct"),
        ("{{eq 1 1.0}}", "eq 1 1.0", "error calling eq: incompatible types for comparison: int and float64"),
        ("{{1 2}}", "1 2", "can't give argument to non-function"),
        ("{{.A 1}}", ".A 1", "A has arguments but cannot be invoked as function"),
        ("{{len 3}}", "len 3", "error calling len: len of type int"),
        ("{{template \"x\"}}", "{{template \"x\"}}", "template \"x\" not defined"),
        ("{{shout 5}}", "shout 5", "error calling shout: one text is wanted"),
        ("{{range 100}}{{range 1000}}x{{end}}{{end}}", "range 1000", "it takes more than 10000 steps"),
        ("{{printf \"%99999d\" 1}}", "printf \"%99999d\" 1", "error calling printf: a width or precision above 10000"),
        (
            "{{define \"T\"}}{{template \"T\"}}{{end}}{{template \"T\"}}",
            "{{template \"T\"}}",
            "more than 100 templates within each other",
        ),
    ] {
        check(text, &format!("error: template: t:1: executing \"t\" at <{at}>: {why}"));
    }
}

#[test]
fn verbs_lengths_indexes_and_comparisons() {
    check(r#"{{ printf "%x %X %o %b %c" "ab" "ko" 8 5 65 }}"#, r#"6162 6B6F 10 101 A"#);
    check(r#"{{ printf "%#x %#X %#o|% d|%+d" 255 255 8 5 5 }}"#, r#"0xff 0XFF 010| 5|+5"#);
    check(r#"{{ printf "%*d|%-5d|%05d" 4 7 7 7 }}"#, r#"   7|7    |00007"#);
    check(r#"{{ printf "%v %v %v" true nil .I }}"#, r#"true <nil> [1 2]"#);
    check(r#"{{ printf "%T %T %T %T" 1 "a" true .F }}"#, r#"int string bool float64"#);
    check(r#"{{ printf "%v %s" .L .A }}"#, r#"map[a:b c:d] v"#);
    check(r#"{{ printf "%d" "a" }}"#, r#"%!d(string=a)"#);
    check(r#"{{ printf "%.2s|%5s|%-5s|" .A "ab" "ab" }}"#, r#"v|   ab|ab   |"#);
    check(r#"{{ html "<a b='c' d=\"e\">&" }}"#, r#"&lt;a b=&#39;c&#39; d=&#34;e&#34;&gt;&amp;"#);
    check(r#"{{ urlquery "a b&ü" }}"#, r#"a+b%26%C3%BC"#);
    check(r#"{{ len .L }} {{ len .I }} {{ len .A }}"#, r#"2 2 1"#);
    check(r#"{{ index .A 0 }}"#, r#"118"#);
    check(r#"{{ index .I 1 }}"#, r#"2"#);
    check(r#"{{ index .L "a" }}"#, r#"b"#);
    check(r#"{{ slice .I 1 2 }} {{ slice .A 0 1 }}"#, r#"[2] v"#);
    check(r#"{{ eq true false }} {{ eq true true }} {{ ne 1 2 }}"#, r#"false true true"#);
    check(r#"{{ and 1 0 }} {{ or 0 2 }} {{ not .A }}"#, r#"0 2 false"#);
    check(r#"{{ eq .A "x" "v" }}"#, r#"true"#);
}
