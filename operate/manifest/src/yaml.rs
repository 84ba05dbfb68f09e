//! An object as the text of a manifest: what says what it is first, long texts as blocks. For objects that have no text of their own.

use lib_yaml_edit::{Data, Dialect, Editor, Options, Step};
use serde_json::Value;

/// The keys that a person looks for first.
const FIRST: [&str; 4] = ["apiVersion", "kind", "metadata", "type"];

/// No key of an object.
const BEGIN: &str = "apm.dev/begin";

/// The object as YAML, with a line end.
pub fn yaml(object: &Value) -> String {
    // JSON is YAML too.
    written(object).unwrap_or_else(|| format!("{object:#}\n"))
}

fn written(object: &Value) -> Option<String> {
    let map = object.as_object()?;
    let first = FIRST.iter().filter_map(|key| map.get_key_value(*key));
    let others = map.iter().filter(|(key, _)| !FIRST.contains(&key.as_str()));
    let options = Options { dialect: Dialect::Kubectl, ..Options::default() };
    // A text to begin with, so that what follows is written in lines and lists stand as kubectl writes them.
    let mut editor = Editor::new(format!("{BEGIN}:\n- x\n"), options).ok()?;
    for (key, value) in first.chain(others) {
        let mut data = Data::from(value.clone());
        name_first(&mut data);
        editor.set(&[Step::from(key.as_str())], data).ok()?;
    }
    editor.remove(&[Step::from(BEGIN)]).ok()?;
    Some(editor.into_text())
}

fn name_first(data: &mut Data) {
    match data {
        Data::Map(pairs) => {
            pairs.sort_by_key(|(key, _)| key != "name");
            pairs.iter_mut().for_each(|(_, value)| name_first(value));
        }
        Data::List(items) => items.iter_mut().for_each(name_first),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::{Limits, read};

    #[test]
    fn a_text_says_first_what_it_is_and_means_the_object() {
        let object = json!({"apiVersion": "v1", "data": {"a": "1", "b": "x\ny\n", "yes": "no"}, "kind": "ConfigMap",
            "metadata": {"labels": {"a": "b"}, "name": "c"}, "list": [{"image": "i", "name": "app"}, []], "none": null, "x": {"x": 1}});
        let text = yaml(&object);
        let expect = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c\n  labels:\n    a: b\ndata:\n  a: \"1\"\n  b: |\n    x\n    y\n";
        assert!(text.starts_with(expect), "{text}");
        assert!(text.contains("list:\n- name: app\n  image: i\n- []\n"), "{text}");
        let back = read("c.yaml", &text, &Limits::default()).expect("YAML").objects.remove(0).json();
        assert_eq!(back, object);
    }
}
