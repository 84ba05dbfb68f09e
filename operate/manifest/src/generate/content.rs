//! What a generated object holds: keys and bytes out of literals, files and lines of variables, read as kustomize reads them. Knows no object.

use std::collections::BTreeMap;

use super::{Generator, is_key};

/// Of one file, and of all that one object holds: more is no ConfigMap (etcd takes 1.5 MiB, the API server 1 MiB of data).
const BYTES_MAX: usize = 1 << 20;

/// Why nothing can be generated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    #[error("`{name}` is no name for a {kind}: lower-case letters, digits, `-` and `.`, at most 242")]
    Name { kind: &'static str, name: String },
    #[error("the {kind} `{name}` is generated twice; give one of them another name or namespace")]
    Twice { kind: &'static str, name: String },
    #[error("the ConfigMap `{name}` has a `type`, which only a Secret has")]
    Typed { name: String },
    // What a person wrote by mistake may be the secret itself, so it is not repeated.
    #[error("literal {number} of the {kind} `{name}` is not of the form KEY=VALUE")]
    Literal { kind: &'static str, name: String, number: usize },
    #[error("`{entry}` of the {kind} `{name}` is neither FILE nor KEY=FILE")]
    File { kind: &'static str, name: String, entry: String },
    #[error("{file}:{line}: {problem}; the {kind} `{name}` is generated of it")]
    Line { kind: &'static str, name: String, file: String, line: usize, problem: &'static str },
    #[error("the {kind} `{name}` cannot be generated: {file}: {why}")]
    Read { kind: &'static str, name: String, file: String, why: String },
    #[error("`{key}` is no key of a {kind} (`{name}`): letters, digits, `-`, `_` and `.`")]
    Key { kind: &'static str, name: String, key: String },
    #[error("the key `{key}` of the {kind} `{name}` is there twice")]
    KeyTwice { kind: &'static str, name: String, key: String },
    #[error("the {kind} `{name}` would hold more than {BYTES_MAX} bytes")]
    Large { kind: &'static str, name: String },
}

type Read<'r> = &'r mut dyn FnMut(&str) -> Result<Vec<u8>, String>;

pub(super) fn pairs(
    kind: &'static str,
    generator: &Generator,
    read: Read<'_>,
) -> Result<BTreeMap<String, Vec<u8>>, GenerateError> {
    let name = || generator.name.clone();
    let mut pairs = BTreeMap::new();
    let mut size = 0_usize;
    let mut add = |key: String, bytes: Vec<u8>| {
        if !is_key(&key) {
            return Err(GenerateError::Key { kind, name: name(), key });
        }
        size = size.saturating_add(bytes.len());
        if size > BYTES_MAX {
            return Err(GenerateError::Large { kind, name: name() });
        }
        match pairs.insert(key.clone(), bytes) {
            Some(_) => Err(GenerateError::KeyTwice { kind, name: name(), key }),
            None => Ok(()),
        }
    };
    let mut bytes_of =
        |file: &str| read(file).map_err(|why| GenerateError::Read { kind, name: name(), file: file.to_owned(), why });
    for file in &generator.envs {
        let bytes = bytes_of(file)?;
        let fault =
            |line: usize, problem| GenerateError::Line { kind, name: name(), file: file.clone(), line, problem };
        let text = std::str::from_utf8(&bytes).map_err(|_| fault(1, "it is no UTF-8 text"))?;
        for (at, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            let line = line.trim_start();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            // Alone, kustomize would take the variable of whoever builds: another result on another machine.
            let Some((key, value)) = line.split_once('=') else {
                return Err(fault(at + 1, "a line is KEY=VALUE; a variable of this process is not taken"));
            };
            add(key.to_owned(), value.as_bytes().to_vec())?;
        }
    }
    for entry in &generator.files {
        let fault = || GenerateError::File { kind, name: name(), entry: entry.clone() };
        let (key, file) = match entry.split_once('=') {
            None => (entry.rsplit('/').next().unwrap_or(entry), entry.as_str()),
            Some((key, file)) if !key.is_empty() && !file.is_empty() && !file.contains('=') => (key, file),
            Some(_) => return Err(fault()),
        };
        add(key.to_owned(), bytes_of(file)?)?;
    }
    for (at, literal) in generator.literals.iter().enumerate() {
        match literal.split_once('=') {
            Some((key, value)) if !key.is_empty() => add(key.to_owned(), unquoted(value).as_bytes().to_vec())?,
            _ => return Err(GenerateError::Literal { kind, name: name(), number: at + 1 }),
        }
    }
    Ok(pairs)
}

/// Without quotes that stand on both sides.
fn unquoted(value: &str) -> &str {
    let inner = |quote| value.strip_prefix(quote).and_then(|rest: &str| rest.strip_suffix(quote));
    inner('"').or_else(|| inner('\'')).unwrap_or(value)
}
