//! The merged tree and how its parts are read.

use base_explain::Report;
use serde::de::DeserializeOwned;

use crate::interpolate::interpolate;
use crate::{ConfigError, Key, Node, Origin, Value, yaml};

/// Everything that was said, by whichever layer said it last.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    root: Node,
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
        let mut node = yaml::parse(name, text)?;
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let report = Report::new("a configuration is a map of keys").hint("begin with `version: 1`");
            return Err(ConfigError::new(node.origin.on(report)));
        }
        interpolate(&mut node, lookup)?;
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
        let scalar = Node { value: Value::Scalar { text, quoted: false }, origin: origin.clone() };
        let node = path.rsplit('.').fold(scalar, |inner, name| Node {
            value: Value::Map(vec![(Key { name: name.to_owned(), origin: origin.clone() }, inner)]),
            origin: origin.clone(),
        });
        self.root.merge(node);
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
        check("observe:\n  scrape: 7\n", "a sequence is wanted here, not integer `7` (at apm.yaml:2:11)");
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
}
