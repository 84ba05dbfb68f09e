//! Edits of texts made at random say what was asked for, and nothing panics. It knows no case by name.

use super::*;

fn scalar() -> impl Strategy<Value = Data> {
    prop_oneof![
        Just(Data::Null),
        any::<bool>().prop_map(Data::Bool),
        any::<i32>().prop_map(|n| Data::from(i64::from(n))),
        "[a-z]{1,6}".prop_map(Data::Text),
        "[ -~]{0,12}".prop_map(Data::Text),
        "[a-z é\n:#'\"-]{0,12}".prop_map(Data::Text),
        prop::sample::select(vec![
            "yes", "0644", "1e3", "null", "- a", "a: b", "é#", "12:30:45", "<<", "=", "|", "\u{2028}"
        ])
        .prop_map(Data::from),
    ]
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![4 => "[a-e]", 1 => "[a-z .:#'-]{1,5}", 1 => Just("yes".to_owned()), 1 => Just("7".to_owned())]
}

fn data() -> impl Strategy<Value = Data> {
    scalar().prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Data::List),
            prop::collection::btree_map(key(), inner, 0..4).prop_map(Data::map),
        ]
    })
}

/// A text that says the value, written in one of several hands, comments among the lines.
fn text(data: &Data, hand: u8) -> String {
    let seed = match hand % 4 {
        0 => "x:\n  - y\n",
        1 => "x:\n- y:\n    z: 'q'\n",
        2 => "x:\n    y: \"q\"\n",
        _ => "{\n  \"x\": 1\n}\n",
    };
    let mut editor = Editor::new(seed, Options::default()).expect("a seed");
    editor.set(&path("v"), data.clone()).expect("a value can be written");
    let text = editor.into_text();
    if hand % 4 == 3 || text.contains('|') {
        return text;
    }
    // A comment behind every line that can bear one.
    text.lines()
        .enumerate()
        .map(|(n, line)| if line.ends_with(':') { format!("{line} # c{n}\n") } else { format!("{line}\n") })
        .collect()
}

fn paths(data: &Data, here: &mut Vec<Step>, out: &mut Vec<Vec<Step>>) {
    out.push(here.clone());
    match data {
        Data::List(items) => items.iter().enumerate().for_each(|(at, item)| {
            here.push(at.into());
            paths(item, here, out);
            here.pop();
        }),
        Data::Map(pairs) => pairs.iter().for_each(|(key, value)| {
            here.push(key.as_str().into());
            paths(value, here, out);
            here.pop();
        }),
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { ..ProptestConfig::with_cases(600) })]

    #[test]
    fn an_edit_says_what_was_asked_and_nothing_else(old in data(), new in data(), hand in any::<u8>(), pick in any::<prop::sample::Index>()) {
        let text = text(&old, hand);
        let mut editor = Editor::new(text.clone(), Options::default()).expect("it reads");
        let before = editor.data().expect("data");
        let mut all = Vec::new();
        paths(&before, &mut Vec::new(), &mut all);
        let at = pick.get(&all);
        let there = before.clone().at_mut(at).expect("it is there").clone();
        editor.set(at, there).expect("the same can be set");
        prop_assert_eq!(editor.text(), &text);
        editor.set(at, new.clone()).map_err(|error| TestCaseError::fail(format!("{error}\n{text}\nat {at:?} {new:?}")))?;
        let mut wanted = before;
        *wanted.at_mut(at).expect("it is there") = new;
        prop_assert_eq!(&editor.data().expect("data"), &wanted, "{}", editor.text());
        // All comments outside of what was replaced are still there.
        if at.len() == 2 {
            for line in text.lines().filter(|line| line.starts_with("x:")) {
                prop_assert!(editor.text().contains(line), "{}", editor.text());
            }
        }
        // And out again.
        if !at.is_empty() {
            let text = editor.text().to_owned();
            editor.remove(at).map_err(|error| TestCaseError::fail(format!("{error}\n{text}\nat {at:?}")))?;
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[a-c:\\-\\[\\]{},#&*!|>'\" \n\t?%@é]{0,40}", key in "[a-c]") {
        let limits = Limits::default();
        if parse(&text, &limits).is_ok() {
            let mut editor = Editor::new(text.clone(), Options::default()).expect("it reads");
            let _ = editor.set(&path(&key), 1);
            let _ = editor.remove(&path(&key));
            let _ = editor.append(&path(&key), "x");
        }
    }
}
