//! Edits, byte for byte. It knows none of the splices behind them.

use super::*;

fn check(text: &str, edit: impl Fn(&mut Editor) -> Result<(), crate::EditError>, expect: &str) {
    let mut editor = Editor::new(text, Options::default()).expect("it reads");
    match edit(&mut editor) {
        Ok(()) => assert_eq!(editor.text(), expect, "of {text:?}"),
        Err(error) => assert_eq!(format!("error: {error}"), expect, "of {text:?}"),
    }
}

fn set(text: &str, at: &str, value: serde_json::Value, expect: &str) {
    check(text, |editor| editor.set(&path(at), value.clone()).map(drop), expect);
}

fn remove(text: &str, at: &str, expect: &str) {
    check(text, |editor| editor.remove(&path(at)).map(drop), expect);
}

#[test]
fn a_value_is_set_where_it_stands() {
    set("a: 1 # one\nb: 2\n", "a", json!(3), "a: 3 # one\nb: 2\n");
    set("a: 'x' # it's\nb: 1\n", "a", json!("y"), "a: 'y' # it's\nb: 1\n");
    set("a: \"x\" # \"\nb: 1\n", "a", json!("\\\""), "a: \"\\\\\\\"\" # \"\nb: 1\n");
    set("a: 'x'\n", "a", json!("it's"), "a: 'it''s'\n");
    set("a: \"x\"\n", "a", json!("y"), "a: \"y\"\n");
    set("a: x\n", "a", json!("yes"), "a: \"yes\"\n");
    set("b: 'q'\na: x\n", "a", json!("0644"), "b: 'q'\na: '0644'\n");
    set("a:\nb: 1\n", "a", json!("x"), "a: x\nb: 1\n");
    set("a: # why\n  b: 1\nc: 2\n", "a", json!(5), "a: 5 # why\nc: 2\n");
    set("a: 5 # why\nc: 2\n", "a", json!({"b": 1}), "a: # why\n  b: 1\nc: 2\n");
    set("a: |\n  one\n  two\nb: 1\n", "a", json!("x"), "a: x\nb: 1\n");
    set("a: x\nb: 1\n", "a", json!("one\ntwo\n"), "a: |\n  one\n  two\nb: 1\n");
    set("a: |+\n  one\n\nb: 1\n", "a", json!("x"), "a: x\nb: 1\n");
    set("l:\n- a # first\n- b\n", "l.0", json!({"k": 1, "m": [1]}), "l:\n- k: 1 # first\n  m:\n  - 1\n- b\n");
    set("# only a comment\n", "a.b", json!(1), "# only a comment\na:\n  b: 1\n");
    set("", "a", json!(1), "a: 1\n");
    set("a: 1\r\nb: 2\r\n", "c", json!(3), "a: 1\r\nb: 2\r\nc: 3\r\n");
    set("a: {b: 1, c: 2} # x\n", "a.c", json!("y z"), "a: {b: 1, c: y z} # x\n");
    set("a: {}\n", "a.b", json!(1), "a:\n  b: 1\n");
}

#[test]
fn what_is_equal_keeps_its_bytes() {
    set("a:   0x10  # odd\n", "a", json!(16), "a:   0x10  # odd\n");
    set("m: {x: 1,   y: 2}\n", "m", json!({"y": 2, "x": 1}), "m: {x: 1,   y: 2}\n");
    set("m:\n  # about x\n  x: 1\n  y: 2 # y\n", "m", json!({"x": 1, "y": 3}), "m:\n  # about x\n  x: 1\n  y: 3 # y\n");
    set("l: # l\n  - 1 # one\n  - 2\n", "l", json!([1, 2, 3]), "l: # l\n  - 1 # one\n  - 2\n  - 3\n");
}

#[test]
fn keys_are_made_in_the_style_of_the_file() {
    set("a:\n    b:\n        c: 1\n", "a.d.e", json!(2), "a:\n    b:\n        c: 1\n    d:\n        e: 2\n");
    set("a:\n  - 1\n", "b", json!([1, {"x": [2]}]), "a:\n  - 1\nb:\n  - 1\n  - x:\n      - 2\n");
    set("a:\n- 1\n", "b", json!([1]), "a:\n- 1\nb:\n- 1\n");
    set("a:\n  b: 1 # b\n\n# about c\nc: 2\n", "a.x", json!(1), "a:\n  b: 1 # b\n  x: 1\n\n# about c\nc: 2\n");
    set("a: 1", "b", json!(2), "a: 1\nb: 2");
    set("x:\n  t: |\n    one\n\ny: 1\n", "x.u", json!(2), "x:\n  t: |\n    one\n  u: 2\n\ny: 1\n");
    set("x:\n  t: |+\n    one\n\ny: 1\n", "x.u", json!(2), "x:\n  t: |+\n    one\n\n  u: 2\ny: 1\n");
}

#[test]
fn json_stays_json() {
    let text = "{\n  \"a\": 1,\n  \"l\": [\n    \"x\"\n  ]\n}\n";
    set(
        text,
        "b",
        json!({"c": "d"}),
        "{\n  \"a\": 1,\n  \"l\": [\n    \"x\"\n  ],\n  \"b\": {\n    \"c\": \"d\"\n  }\n}\n",
    );
    set(text, "l.1", json!("y"), "{\n  \"a\": 1,\n  \"l\": [\n    \"x\",\n    \"y\"\n  ]\n}\n");
    remove(text, "a", "{\n  \"l\": [\n    \"x\"\n  ]\n}\n");
    remove(text, "l", "{\n  \"a\": 1\n}\n");
    set("{\"a\":{}}", "a.b", json!(null), "{\"a\":{\"b\": null}}");
}

#[test]
fn what_is_removed_leaves_the_rest() {
    remove("a: 1\n# about b\nb: 2 # gone\nc: 3\n", "b", "a: 1\n# about b\nc: 3\n");
    remove("a:\n  b: 1\nc: 2\n", "a.b", "a: {}\nc: 2\n");
    remove("l:\n  - a\n  - b: 1\n    c: 2\n  - d\n", "l.1", "l:\n  - a\n  - d\n");
    remove("l:\n  - b: 1\n    c: 2\n", "l.0.b", "l:\n  - c: 2\n");
    remove("l:\n  - b: 1 # x\n    # of c\n    c: 2\n", "l.0.b", "l:\n  - \n    # of c\n    c: 2\n");
    remove("a: [1, 2, 3]\n", "a.2", "a: [1, 2]\n");
    remove("a: [1, 2, 3]\n", "a.0", "a: [2, 3]\n");
    remove("a: 1\nb: 2", "b", "a: 1");
    remove("a: 1\n", "b", "error: there is nothing at `b`");
}

#[test]
fn items_and_names() {
    let insert = |text, at, index, expect| check(text, |e| e.insert_item(&path(at), index, "new").map(drop), expect);
    insert("l:\n- a\n# of b\n- b\n", "l", 1, "l:\n- a\n- new\n# of b\n- b\n");
    insert("l:\n- a\n", "l", 0, "l:\n- new\n- a\n");
    insert("l: [a]\n", "l", 0, "l: [new, a]\n");
    insert("l: []\n", "l", 0, "l:\n  - new\n");
    let rename = |text, at, to, expect| check(text, |e| e.rename(&path(at), to).map(drop), expect);
    rename("a:\n  b: 1 # c\n", "a.b", "x y", "a:\n  x y: 1 # c\n");
    rename("\"a\": 1\n", "a", "b", "\"b\": 1\n");
    rename("a: 1\nb: 2\n", "a", "b", "error: `a` cannot be renamed: `b` stands beside it already");
}

#[test]
fn another_document_is_edited_alone() {
    let second = |e: &mut Editor| e.document(1).set(&path("a"), 2).map(drop);
    check("a: 1\n---\n# two\na: 1\n---\na: 3\n", second, "a: 1\n---\n# two\na: 2\n---\na: 3\n");
    check("a: 1\n", second, "error: there is no document 1 here, only 1");
    check("a: 1\n---\n---\na: 3\n", |e| e.document(1).set(&path("x"), 2).map(drop), "a: 1\n---\nx: 2\n---\na: 3\n");
}

#[test]
fn aliases_are_not_changed_behind_ones_back() {
    let text = "a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n";
    set(
        text,
        "c.b",
        json!(2),
        "error: `c` (line 3) is an alias: what it names would change for all who use it; edit the anchor, or write the value out",
    );
    set(
        text,
        "a.b",
        json!(2),
        "error: `a.b` cannot be changed without changing more than was asked for (an anchor used elsewhere, or an unusual notation); edit it by hand",
    );
    set(text, "c", json!(2), "a: &x\n  b: 1\nc: 2\nd:\n  <<: *x\n");
    set(text, "d.b", json!(2), "a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n  b: 2\n");
    set("[a: b]\n", "0.a", json!(1), "[a: 1]\n");
}
