//! Good objects changed by a seed, one or two changes each: the corpus that is compared with what a real API server says. It does not know what is right.

use lib_yaml_edit::Limits;
use operate_manifest::{CustomKinds, Object, Target, Verdict, read, validate_one};
use serde_json::{Value, json};

/// One object to judge.
pub(crate) struct Case {
    /// What it was made from.
    pub(crate) base: String,
    /// What was changed.
    pub(crate) name: String,
    pub(crate) object: Value,
}

/// What this crate says of it; read from its text, as from a file.
pub(crate) fn verdict(case: &Case, custom: &CustomKinds, target: &Target) -> Verdict {
    let text = case.object.to_string();
    let file = read("case", &text, &Limits::default()).expect("a mutation is still an object");
    validate_one(file.objects.first().expect("one object"), custom, target)
}

/// Each good object as it is, and `count` changed ones; the same seed, the same cases.
pub(crate) fn cases(bases: &[Object], seed: u64, count: u64) -> Vec<Case> {
    let mut random = Random(seed);
    let mut cases = Vec::new();
    for base in bases {
        let json = base.json();
        let called = base.identity.to_string();
        cases.push(Case { base: called.clone(), name: "as it is".to_owned(), object: json.clone() });
        let mut paths = Vec::new();
        pointers(&json, "", &mut paths);
        // What an object is decides where it is sent: a changed kind is another comparison.
        paths.retain(|path| !matches!(path.as_str(), "/apiVersion" | "/kind" | "/metadata" | "/metadata/namespace"));
        for _ in 0..count {
            let mut object = json.clone();
            let Some(mut name) = mutate(&mut object, &paths, &mut random) else { continue };
            if random.below(6) == 0
                && let Some(more) = mutate(&mut object, &paths, &mut random)
            {
                name = format!("{name}, {more}");
            }
            cases.push(Case { base: called.clone(), name, object });
        }
    }
    cases
}

/// SplitMix64 (Steele, Lea, Flood 2014): the same seed, the same corpus.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((z ^ (z >> 31)) % n.max(1) as u64).unwrap_or(0)
    }
}

/// What stands where something else stood.
fn others() -> Vec<Value> {
    let long = "x".repeat(70);
    vec![
        json!("Nope"),
        json!(""),
        json!("a b"),
        json!("UPPER_case"),
        json!(long),
        json!("-x"),
        json!("x."),
        json!("25%"),
        json!("150%"),
        json!("0"),
        json!("10"),
        json!("1Gi"),
        json!("-5m"),
        json!("1.5.2"),
        json!("/abs/../path"),
        json!("../up"),
        json!("http"),
        json!("None"),
        json!("10.0.0.1"),
        json!("10.0.0.0/33"),
        json!("example.org/x"),
        json!(0),
        json!(-1),
        json!(1),
        json!(70_000),
        json!(5_000_000_000_i64),
        json!(1.5),
        json!(2.0),
        json!(true),
        json!(false),
        json!(null),
        json!([]),
        json!({}),
        json!(["a"]),
        json!([{}]),
        json!({"a": "b"}),
        json!("Always"),
        json!("Never"),
        json!("TCP"),
        json!("Exists"),
        json!("Recreate"),
        json!("ClusterIP"),
        json!("ExternalName"),
        json!("LoadBalancer"),
        json!("aGVsbG8"),
        json!("60 * * * *"),
    ]
}

fn pointers(value: &Value, here: &str, out: &mut Vec<String>) {
    let mut add = |key: &str, value: &Value| {
        let path = format!("{here}/{}", key.replace('~', "~0").replace('/', "~1"));
        out.push(path.clone());
        pointers(value, &path, out);
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| add(key, value)),
        Value::Array(items) => items.iter().enumerate().for_each(|(at, value)| add(&at.to_string(), value)),
        _ => {}
    }
}

/// One change, and its name.
fn mutate(object: &mut Value, paths: &[String], random: &mut Random) -> Option<String> {
    let path = paths.get(random.below(paths.len()))?;
    let (parent, key) = path.rsplit_once('/')?;
    let key = key.replace("~1", "/").replace("~0", "~");
    let kind = random.below(10);
    match (kind, object.pointer_mut(parent)?) {
        (0, Value::Object(map)) => map.remove(&key).map(|_| format!("remove {path}")),
        (0, Value::Array(items)) => {
            let at = key.parse().ok().filter(|at| *at < items.len())?;
            items.remove(at);
            Some(format!("remove {path}"))
        }
        (1, Value::Object(map)) => {
            let value = map.remove(&key)?;
            map.insert(format!("{key}X"), value);
            Some(format!("rename {path}"))
        }
        (1 | 2, Value::Array(items)) => {
            let item = items.get(key.parse::<usize>().ok()?)?.clone();
            items.push(item);
            Some(format!("twice {path}"))
        }
        (2, Value::Object(map)) => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let other = map.get(keys.get(random.below(keys.len()))?)?.clone();
            map.insert(key, other);
            Some(format!("sibling {path}"))
        }
        (3, Value::Object(map)) => {
            map.insert("bogus".to_owned(), json!(1));
            Some(format!("bogus beside {path}"))
        }
        _ => {
            let all = others();
            let other = all.get(random.below(all.len()))?.clone();
            let name = format!("set {path} {}", other.to_string().chars().take(30).collect::<String>());
            *object.pointer_mut(path)? = other;
            Some(name)
        }
    }
}
