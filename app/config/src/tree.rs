//! The merged tree and how its parts are read.

use base_explain::Report;
use serde::de::DeserializeOwned;

use crate::interpolate::{Lookup, Variable, interpolate};
use crate::{ConfigError, Key, Node, Origin, Value, yaml};

/// Everything that was said, by whichever layer said it last.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    root: Node,
    /// What could not be filled in under `environments`, by the name of the environment: it matters when that one is chosen.
    unfilled: Vec<(String, ConfigError)>,
}

/// Reads one YAML text (JSON is YAML) without layers: for files of the ecosystem, such as `prometheus.yml`.
pub fn from_yaml(name: &str, text: &str) -> Result<Node, ConfigError> {
    yaml::parse(name, text)
}

impl Tree {
    /// Lays a file's text over what there is. `lookup` is the environment, for `${NAME}`.
    pub fn add_file(
        &mut self,
        name: &str,
        text: &str,
        lookup: &dyn Fn(&str) -> Option<String>,
    ) -> Result<(), ConfigError> {
        self.add_file_asking(name, text, &|_, name| Some(Variable { value: lookup(name)?, secret: false }))
    }

    /// The same, with a lookup that hears for which node a variable is wanted, and says of each whether it is secret.
    pub fn add_file_asking(&mut self, name: &str, text: &str, lookup: &Lookup<'_>) -> Result<(), ConfigError> {
        let mut node = yaml::parse(name, text)?;
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let report = Report::new("a configuration is a map of keys").hint("begin with `version: 1`");
            return Err(ConfigError::new(node.origin.on(report)));
        }
        let mut first = None;
        interpolate(&mut node, &mut Vec::new(), lookup, &mut |path, error| match path {
            ["environments", name, ..] => self.unfilled.push(((*name).to_owned(), error)),
            _ => first = first.take().or(Some(error)),
        });
        if let Some(error) = first {
            return Err(error);
        }
        if matches!(node.value, Value::Map(_)) {
            self.root.merge(node);
        }
        Ok(())
    }

    /// Lays environment variables over it: `APM_A__B=x` is `a: { b: x }`. Names without `__` are not for here.
    pub fn add_environment(&mut self, variables: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in variables {
            let Some(path) = name.strip_prefix("APM_").filter(|path| path.contains("__")) else { continue };
            let path = path.to_ascii_lowercase().replace("__", ".");
            self.set(&path, value, Origin::Environment(name.clone()));
        }
    }

    /// Lays one flag's value over it, at a dotted path.
    pub fn add_flag(&mut self, flag: &str, path: &str, value: impl Into<String>) {
        self.set(path, value.into(), Origin::Flag(flag.to_owned()));
    }

    fn set(&mut self, path: &str, text: String, origin: Origin) {
        let scalar = Node { value: Value::Scalar { text, quoted: false }, origin: origin.clone(), filled: Vec::new() };
        let node = path.rsplit('.').fold(scalar, |inner, name| Node {
            value: Value::Map(vec![(Key { name: name.to_owned(), origin: origin.clone() }, inner)]),
            origin: origin.clone(),
            filled: Vec::new(),
        });
        self.root.merge(node);
    }

    /// Lays what stands under `environments.NAME` over the rest; a file without that environment is as it was.
    /// What stands there and cannot be filled in is an error now.
    pub fn choose_environment(&mut self, name: &str) -> Result<(), ConfigError> {
        if let Some((_, error)) = self.unfilled.iter().find(|(environment, _)| environment == name) {
            return Err(error.clone());
        }
        let chosen = self.root.get("environments").and_then(|all| all.get(name)).cloned();
        if let Some(chosen) = chosen.filter(|node| matches!(node.value, Value::Map(_))) {
            self.root.merge(chosen);
        }
        Ok(())
    }

    /// What stands at the top, in its order.
    pub fn names(&self) -> Vec<String> {
        match &self.root.value {
            Value::Map(members) => members.iter().map(|(key, _)| key.name.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// The node at a dotted path.
    pub fn node(&self, path: &str) -> Option<&Node> {
        path.split('.').try_fold(&self.root, |node, name| node.get(name))
    }

    /// The part at a dotted path as a typed struct; a missing part reads as an empty one.
    pub fn section<T: DeserializeOwned>(&self, path: &str) -> Result<T, ConfigError> {
        let nothing = Node::default();
        T::deserialize(self.node(path).unwrap_or(&nothing))
    }

    /// Names what stands at the top and nobody reads.
    pub fn check_top(&self, known: &[&str]) -> Result<(), ConfigError> {
        self.root.check_keys(known)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;
    use crate::{ByteSize, Span};

    #[derive(Debug, Default, Deserialize, PartialEq)]
    #[serde(deny_unknown_fields, default)]
    struct Observe {
        memory: Option<ByteSize>,
        retention: Option<Span>,
        scrape: Vec<String>,
        live: bool,
        name: Option<String>,
    }

    fn read(text: &str) -> Result<Observe, ConfigError> {
        let mut tree = Tree::default();
        let lookup = |name: &str| (name == "HOME_TOWN").then(|| "Ulm".to_owned());
        tree.add_file("apm.yaml", text, &lookup)?;
        tree.add_environment([("APM_OBSERVE__LIVE".into(), "true".into()), ("APM_URL".into(), "x".into())]);
        tree.check_top(&["version", "observe"])?;
        tree.section("observe")
    }

    fn check(text: &str, expected: &str) {
        let error = read(text).expect_err(text);
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn layers_and_kinds() {
        let read = read(
            "version: 1\nobserve:\n  memory: 512MB\n  retention: 15d\n  name: ${HOME_TOWN}-${X:-y}$$\n  scrape: [a, b]\n",
        );
        let expected = Observe {
            memory: Some(ByteSize(512 << 20)),
            retention: Some(Span::from_secs(15 * 86_400)),
            scrape: vec!["a".into(), "b".into()],
            live: true,
            name: Some("Ulm-y$".into()),
        };
        assert_eq!(read, Ok(expected));
    }

    #[test]
    fn an_environment_is_laid_over_the_rest_and_keeps_its_place() {
        let text = "observe: { memory: 1GB, live: false }\nenvironments:\n  prod: { observe: { memory: 2GB } }\n";
        let chosen = |name: &str| {
            let mut tree = Tree::default();
            tree.add_file("apm.yaml", text, &|_| None).unwrap();
            tree.choose_environment(name).unwrap();
            let memory = tree.node("observe.memory").unwrap().clone();
            (memory.read::<ByteSize>().unwrap().0 >> 30, memory.origin.to_string())
        };
        assert_eq!(chosen("prod"), (2, "apm.yaml:3:30".to_owned()));
        assert_eq!(chosen("dev"), (1, "apm.yaml:1:20".to_owned()));
    }

    #[test]
    fn what_an_environment_lacks_matters_when_it_is_chosen() {
        let text = "environments:\n  prod: { observe: { name: \"${PROD_NAME}\" } }\n  dev: { observe: { name: d } }\n";
        let chosen = |name: &str| {
            let mut tree = Tree::default();
            tree.add_file("apm.yaml", text, &|_| None)?;
            tree.choose_environment(name)?;
            tree.section::<Option<String>>("observe.name")
        };
        assert_eq!(chosen("dev"), Ok(Some("d".to_owned())));
        let error = chosen("prod").unwrap_err().to_string();
        assert!(error.contains("`PROD_NAME` is not set (at apm.yaml:2:29)"), "{error}");
    }

    #[test]
    fn a_variable_is_looked_up_for_its_place_and_may_be_secret() {
        let text =
            "services:\n  a: { env: { X: \"${X}\", Y: \"y${X}\" } }\n  b: { env: { X: \"${X}\" } }\nlist: [\"${X}\"]\n";
        let mut tree = Tree::default();
        let lookup = |path: &[&str], name: &str| {
            assert_eq!(name, "X");
            Some(Variable { value: path.join("/"), secret: path.contains(&"a") })
        };
        tree.add_file_asking("apm.yaml", text, &lookup).unwrap();
        let said = |path: &str| tree.section::<String>(path).unwrap();
        assert_eq!(said("services.a.env.Y"), "yservices/a/env/Y");
        assert_eq!(said("services.b.env.X"), "services/b/env/X");
        let (node, filled) = tree.node("services").and_then(Node::secret).unwrap();
        assert_eq!((node.origin.to_string(), filled.name.as_str()), ("apm.yaml:2:18".to_owned(), "X"));
        assert_eq!(tree.node("services.b").and_then(Node::secret), None);
    }

    #[test]
    fn a_flag_wins_and_says_so() {
        let mut tree = Tree::default();
        tree.add_file("apm.yaml", "observe: { memory: 1GB }", &|_| None).unwrap();
        tree.add_flag("--memory", "observe.memory", "lots");
        let error = tree.section::<Observe>("observe").unwrap_err();
        assert!(error.to_string().contains("it was given by the flag `--memory`"), "{error}");
        assert_eq!(tree.node("observe.memory").unwrap().origin.to_string(), "--memory");
    }

    #[test]
    fn errors_name_the_place() {
        check("observe:\n  memroy: 1GB\n", "unknown key `memroy` (at apm.yaml:2:3); did you mean `memory`?");
        check("obsrve: {}\n", "unknown key `obsrve` (at apm.yaml:1:1); did you mean `observe`?");
        check("observe:\n  scrape: 7\n", "a list is wanted here, not `7` (at apm.yaml:2:11)");
        check(
            "observe:\n  memory: 12 parsecs\n",
            "`12 parsecs` is not a size; write a number and B, KB, MB, GB or TB, such as 512MB (at apm.yaml:2:11)",
        );
        check(
            "observe:\n  live: true\n  live: false\n",
            "the key `live` is here twice: it stands at apm.yaml:2:3 already (at apm.yaml:3:3); keep one of them",
        );
        check(
            "observe:\n  name: ${NOPE}\n",
            "the environment variable `NOPE` is not set (at apm.yaml:2:9); set it, or give a default: `${NOPE:-…}`",
        );
        // The very place, in a quoted text, in a list, behind the same words.
        let said = |name: &str| format!("the environment variable `{name}` is not set");
        let set = |name: &str| format!("set it, or give a default: `${{{name}:-…}}`");
        check(
            "observe:\n  name: \"ü ${HOME_TOWN} ${NOPE}\"\n",
            &format!("{} (at apm.yaml:2:25); {}", said("NOPE"), set("NOPE")),
        );
        check(
            "observe:\n  scrape:\n    - a\n    - ${HOME_TOWN}-${NO_TOWN:-x}-${NO_TOWN}\n",
            &format!("{} (at apm.yaml:4:34); {}", said("NO_TOWN"), set("NO_TOWN")),
        );
        check(
            "observe:\n  name: |\n    one\n    two ${NOPE}\n",
            &format!("{} (at apm.yaml:4:9); {}", said("NOPE"), set("NOPE")),
        );
        let dollar = "write `${NAME}`, or `$$` for one dollar";
        check("observe:\n  name: a${HOME_TOWN\n", &format!("a `${{` has no `}}` (at apm.yaml:2:10); {dollar}"));
        let form = "write `${NAME}` or `${NAME:-default}`; `$$` is one dollar";
        check("observe:\n  name: ${a b}\n", &format!("`a b` is no name of a variable (at apm.yaml:2:9); {form}"));
        assert!(read("observe: [").unwrap_err().to_string().starts_with("this is not YAML: "));
    }

    #[test]
    fn alias_bombs_are_refused() {
        let mut text = String::from("a: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (last, next) in ["ab", "bc", "cd", "de", "ef", "fg", "gh"].map(|p| p.split_at(1)) {
            let copies = vec![format!("*{last}"); 10].join(",");
            text.push_str(&format!("{next}: &{next} [{copies}]\n"));
        }
        assert!(read(&text).unwrap_err().to_string().starts_with("aliases copy too much"));
    }

    #[derive(Debug, Deserialize, PartialEq)]
    #[serde(rename_all = "kebab-case")]
    enum Word {
        Text,
        Json,
    }

    #[derive(Debug, Deserialize, PartialEq)]
    struct Metres(f64);

    #[derive(Debug, Deserialize, PartialEq)]
    struct Kinds {
        word: Word,
        length: Metres,
        any: Vec<f64>,
        signed: i32,
        nothing: Option<u8>,
        some: Option<u8>,
        text: String,
        section: std::collections::BTreeMap<String, bool>,
    }

    fn kinds(text: &str) -> Result<Kinds, ConfigError> {
        from_yaml("kinds.yaml", text)?.read()
    }

    #[test]
    fn every_kind_of_value() {
        let text = "word: json\nlength: 1.5\nany: [.inf, -.inf, 7, 1e3, .nan]\nsigned: -3\nnothing: ~\nsome: 5\n\
                    text: 15d\nsection:\n";
        let read = kinds(text).unwrap();
        assert_eq!((read.word, read.length, read.signed), (Word::Json, Metres(1.5), -3));
        assert_eq!(read.any[..4], [f64::INFINITY, f64::NEG_INFINITY, 7.0, 1000.0]);
        assert!(read.any[4].is_nan());
        assert_eq!((read.nothing, read.some, read.text.as_str(), read.section.len()), (None, Some(5), "15d", 0));
    }

    #[test]
    fn wrong_kinds_name_their_place() {
        let with = |key: &str, value: &str| {
            let pairs =
                [("word", "text"), ("length", "1"), ("any", "[]"), ("signed", "1"), ("text", "x"), ("section", "{}")];
            let line = |(name, held): (&str, &str)| format!("{name}: {}\n", if name == key { value } else { held });
            kinds(&pairs.map(line).concat()).unwrap_err().to_string()
        };
        assert_eq!(with("word", "jsn"), "unknown value `jsn` (at kinds.yaml:1:7); did you mean `json`?");
        assert_eq!(
            with("word", "telegram"),
            "unknown value `telegram` (at kinds.yaml:1:7); one of text, json is known here"
        );
        assert_eq!(with("word", "[a]"), "a word is wanted here, not a list (at kinds.yaml:1:7)");
        let number = "a whole number from -2147483648 to 2147483647 is wanted here";
        assert_eq!(with("signed", "3000000000"), format!("{number}, not `3000000000` (at kinds.yaml:4:9)"));
        assert_eq!(with("signed", "'1'"), format!("{number}, not the text `1` (at kinds.yaml:4:9)"));
        assert_eq!(with("length", "far"), "a number is wanted here, not the text `far` (at kinds.yaml:2:9)");
        assert_eq!(with("section", "[a]"), "a map of keys is wanted here, not a list (at kinds.yaml:6:10)");
        assert_eq!(with("any", "[~]"), "a number is wanted here, not nothing (at kinds.yaml:3:7)");
        assert_eq!(with("text", "[1]"), "text is wanted here, not a list (at kinds.yaml:5:7)");
        assert_eq!(with("section", "{a: 7}"), "`true` or `false` is wanted here, not `7` (at kinds.yaml:6:14)");
        let missing = kinds("word: text\n").unwrap_err().to_string();
        assert_eq!(missing, "the key `length` is missing (at kinds.yaml:1:1); add `length: …`");
    }

    #[test]
    fn a_file_that_is_no_configuration() {
        check("- a\n", "a configuration is a map of keys (at apm.yaml:1:1); begin with `version: 1`");
        check(
            "a: 1\n---\nb: 2\n",
            "a second document; one is expected (at apm.yaml:3:1); remove it, or the `---` before it",
        );
        check("? [a]\n: b\n", "a key must be plain text (at apm.yaml:1:3); quote it");
        let deep = format!("a: {}{}", "[".repeat(70), "]".repeat(70));
        assert!(read(&deep).unwrap_err().to_string().starts_with("nested too deep (at apm.yaml:1:"));
        let large = format!("a: {}", "x".repeat(5 << 20));
        check(&large, "`apm.yaml` has 5242883 bytes, the limit is 4194304");
        // An empty one sets nothing.
        assert_eq!(read("").unwrap(), Observe { live: true, ..Observe::default() });
        assert_eq!(read("observe:\n").unwrap(), Observe { live: true, ..Observe::default() });
    }

    #[test]
    fn merge_keys_and_anchors() {
        let text = "base: &base { a: 1, b: 2 }\nother: &other { b: 3, c: 4 }\n\
                    one: { <<: *base, b: 9 }\ntwo: { <<: [*base, *other] }\n";
        let node = from_yaml("m.yaml", text).unwrap();
        let read = |name: &str| node.get(name).unwrap().read::<std::collections::BTreeMap<String, u8>>().unwrap();
        let map = |pairs: &[(&str, u8)]| pairs.iter().map(|(n, v)| ((*n).to_owned(), *v)).collect();
        assert_eq!(read("one"), map(&[("a", 1), ("b", 9)]));
        assert_eq!(read("two"), map(&[("a", 1), ("b", 2), ("c", 4)]));
        assert!(from_yaml("m.yaml", "a: *nothing\n").is_err());
    }

    #[test]
    fn dollars_that_are_no_variable_stay_and_lists_are_looked_through() {
        let read = read("observe:\n  name: $5 and ${EMPTY:-}\n  scrape: ['${HOME_TOWN}', \"$$x\"]\n").unwrap();
        assert_eq!(read.name.as_deref(), Some("$5 and "));
        assert_eq!(read.scrape, ["Ulm", "$x"]);
    }

    #[test]
    fn where_a_value_came_from() {
        let mut tree = Tree::default();
        assert_eq!(Node::default().origin.to_string(), "default");
        tree.add_file("apm.yaml", "observe: { memory: 1GB, scrape: [a] }\n", &|_| None).unwrap();
        assert_eq!(tree.node("observe.memory").unwrap().origin.to_string(), "apm.yaml:1:20");
        assert_eq!(tree.node("observe.scrape").unwrap().items().len(), 1);
        assert_eq!(tree.node("observe.memory").unwrap().items().len(), 0);
        assert!(tree.node("observe.memory.more").is_none());
        tree.add_environment([("APM_OBSERVE__MEMORY".to_owned(), "much".to_owned())]);
        assert_eq!(tree.node("observe.memory").unwrap().origin.to_string(), "$APM_OBSERVE__MEMORY");
        let error = tree.section::<Observe>("observe").unwrap_err().to_string();
        assert!(error.contains("it was set by the environment variable `APM_OBSERVE__MEMORY`"), "{error}");
        let part = tree.node("observe").unwrap().only(&["scrape"]);
        assert!(part.get("memory").is_none() && part.get("scrape").is_some());
        assert!(part.get("scrape").unwrap().check_keys(&[]).is_ok(), "a list has no keys");
    }
}
