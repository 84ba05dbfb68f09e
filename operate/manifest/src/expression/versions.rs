//! Kubernetes' library of semantic versions. <https://semver.org/spec/v2.0.0.html>

use std::cmp::Ordering;

use lib_cel::{Cx, EvalError, Run, Value};

use super::{Out, no, opaque, own, wrap};

#[derive(Debug)]
struct Version {
    numbers: [u64; 3],
    /// What stands behind `-`, at its dots.
    before: Vec<String>,
}
opaque!(Version, "kubernetes.Semver");

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.order(other).is_eq()
    }
}

pub(super) const FUNCTIONS: &[(&str, Run)] = &[
    ("semver(string) -> kubernetes.Semver\nsemver(string, bool) -> kubernetes.Semver", semver),
    ("isSemver(string) -> bool\nisSemver(string, bool) -> bool", is_semver),
    ("kubernetes.Semver.isGreaterThan(kubernetes.Semver) -> bool", |_, args| {
        two(args, |order| Value::Bool(order.is_gt()))
    }),
    ("kubernetes.Semver.isLessThan(kubernetes.Semver) -> bool", |_, args| {
        two(args, |order| Value::Bool(order.is_lt()))
    }),
    ("kubernetes.Semver.compareTo(kubernetes.Semver) -> int", |_, args| two(args, |order| Value::Int(order as i64))),
    ("kubernetes.Semver.major() -> int", |_, args| part(args, 0)),
    ("kubernetes.Semver.minor() -> int", |_, args| part(args, 1)),
    ("kubernetes.Semver.patch() -> int", |_, args| part(args, 2)),
];

fn number(text: &str) -> Option<u64> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok())?
}

fn parse(text: &str) -> Option<Version> {
    let (text, build) = text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (text, before) = text.split_once('-').map_or((text, None), |(text, before)| (text, Some(before)));
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let parts: Vec<&str> = text.split('.').collect();
    let [major, minor, patch] = parts[..] else { return None };
    let before: Vec<String> = before.map(|before| before.split('.').map(str::to_owned).collect()).unwrap_or_default();
    let fine =
        before.iter().all(|part| word(part) && (number(part).is_some() || !part.bytes().all(|b| b.is_ascii_digit())));
    (fine && build.is_none_or(|build| build.split('.').all(word)))
        .then_some(Version { numbers: [number(major)?, number(minor)?, number(patch)?], before })
}

/// Without a `v`, without leading zeros, and of three parts.
fn normalised(text: &str) -> Option<String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text
        .splitn(3, '.')
        .map(|part| {
            let bare = part.trim_start_matches('0');
            match part.len() > 1 {
                true if bare.starts_with(|c: char| c.is_ascii_digit()) => bare.to_owned(),
                true => format!("0{bare}"),
                false => part.to_owned(),
            }
        })
        .collect();
    if parts.len() < 3 && parts.last().is_some_and(|last| last.contains(['+', '-'])) {
        return None;
    }
    parts.resize(3, "0".to_owned());
    Some(parts.join("."))
}

fn read(args: &[Value]) -> Result<Option<Version>, EvalError> {
    match args {
        [Value::Text(text)] | [Value::Text(text), Value::Bool(false)] => Ok(parse(text)),
        [Value::Text(text), Value::Bool(true)] => Ok(normalised(text).and_then(|text| parse(&text))),
        _ => Err(EvalError::NoOverload("semver".to_owned())),
    }
}

fn semver(_: &mut Cx<'_>, args: &[Value]) -> Out {
    read(args)?.map(wrap).ok_or_else(|| EvalError::fails("no semantic version"))
}

fn is_semver(_: &mut Cx<'_>, args: &[Value]) -> Out {
    read(args).map(|version| Value::Bool(version.is_some()))
}

impl Version {
    fn order(&self, other: &Version) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => {
                let pairs = self.before.iter().zip(&other.before);
                let first = pairs.map(|(a, b)| match (number(a), number(b)) {
                    (Some(a), Some(b)) => a.cmp(&b),
                    (Some(_), None) => Ordering::Less,
                    (None, Some(_)) => Ordering::Greater,
                    (None, None) => a.cmp(b),
                });
                first.into_iter().find(|order| order.is_ne()).unwrap_or(self.before.len().cmp(&other.before.len()))
            }
        })
    }
}

fn two(args: &[Value], f: impl Fn(Ordering) -> Value) -> Out {
    match args {
        [a, b] => match (own::<Version>(a), own::<Version>(b)) {
            (Some(a), Some(b)) => Ok(f(a.order(b))),
            _ => no("kubernetes.Semver"),
        },
        _ => no("kubernetes.Semver"),
    }
}

fn part(args: &[Value], at: usize) -> Out {
    let version = args.first().and_then(own::<Version>);
    match version.and_then(|version| version.numbers.get(at)) {
        Some(number) => Ok(Value::Int(i64::try_from(*number).unwrap_or(i64::MAX))),
        None => no("kubernetes.Semver"),
    }
}
