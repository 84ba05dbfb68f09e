//! The embedded schemas of all minor versions, read once: docs/formats/kubernetes-schemas.md tells their form. Knows no object.

use std::sync::OnceLock;

use ahash::AHashMap;

const TEXT: &str = include_str!("../../schemas/kubernetes.txt");

/// The minor versions that the embedded schemas know.
pub const MINOR_OLDEST: u8 = 30;
pub const MINOR_NEWEST: u8 = 36;

/// A type, as an index into [`Schemas::types`] where it has parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Bool,
    Int32,
    Int64,
    Number,
    Bytes,
    Time,
    Quantity,
    IntOrText,
    Map,
    Any,
    Definition(u32),
    MapOf(u32),
    List { items: u32, keys: Keys },
}

/// By what the items of a list differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Keys {
    None,
    Whole,
    Fields(&'static str),
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) kind: Type,
    pub(crate) required: bool,
    from: u8,
    to: u8,
}

#[derive(Debug)]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    /// Sorted by name; one name may stand there twice, for different versions.
    fields: Vec<Field>,
}

impl Definition {
    pub(crate) fn field(&self, name: &str, minor: u8) -> Option<&Field> {
        let at = self.fields.partition_point(|field| field.name < name);
        self.fields.iter().skip(at).take_while(|field| field.name == name).find(|f| f.from <= minor && minor <= f.to)
    }

    pub(crate) fn fields(&self, minor: u8) -> impl Iterator<Item = &Field> {
        self.fields.iter().filter(move |field| field.from <= minor && minor <= field.to)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) definition: u32,
    pub(crate) namespaced: bool,
    from: u8,
    to: u8,
}

#[derive(Debug, Default)]
pub(crate) struct Schemas {
    definitions: Vec<Definition>,
    types: Vec<Type>,
    kinds: AHashMap<(&'static str, &'static str), Vec<Kind>>,
}

impl Schemas {
    pub(crate) fn embedded() -> &'static Schemas {
        static SCHEMAS: OnceLock<Schemas> = OnceLock::new();
        SCHEMAS.get_or_init(|| Schemas::read(TEXT))
    }

    fn read(text: &'static str) -> Schemas {
        let mut schemas = Schemas::default();
        let mut numbers: AHashMap<&'static str, u32> = AHashMap::new();
        for line in text.lines().filter_map(|line| line.strip_prefix("d ")) {
            numbers.insert(line, short(schemas.definitions.len()));
            schemas.definitions.push(Definition { name: line, fields: Vec::new() });
        }
        let mut at = 0;
        for line in text.lines().skip(2) {
            let mut words = line.split(' ');
            match words.next() {
                Some("k") => schemas.add_kind(words, &numbers),
                Some("d") => at = words.next().and_then(|name| numbers.get(name)).copied().unwrap_or(0),
                _ => {
                    let (Some(name), Some(word)) = (words.next(), words.next()) else { continue };
                    let (from, to) = range(words.next());
                    let (word, required) = word.strip_suffix('!').map_or((word, false), |word| (word, true));
                    let kind = schemas.type_of(word, &numbers);
                    let field = Field { name, kind, required, from, to };
                    if let Some(definition) = schemas.definitions.get_mut(at as usize) {
                        definition.fields.push(field);
                    }
                }
            }
        }
        for definition in &mut schemas.definitions {
            definition.fields.sort_by_key(|field| field.name);
        }
        schemas
    }

    fn add_kind(&mut self, mut words: std::str::Split<'static, char>, numbers: &AHashMap<&'static str, u32>) {
        let (Some(api_version), Some(kind), Some(definition), Some(scope)) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            return;
        };
        let (from, to) = range(words.next());
        let Some(&definition) = numbers.get(definition) else { return };
        let one = Kind { api_version, kind, definition, namespaced: scope == "n", from, to };
        self.kinds.entry((api_version, kind)).or_default().push(one);
    }

    fn type_of(&mut self, word: &'static str, numbers: &AHashMap<&'static str, u32>) -> Type {
        match word.split_at_checked(1) {
            Some(("s", _)) => Type::Text,
            Some(("b", _)) => Type::Bool,
            Some(("i", _)) => Type::Int32,
            Some(("l", _)) => Type::Int64,
            Some(("n", _)) => Type::Number,
            Some(("y", _)) => Type::Bytes,
            Some(("t", _)) => Type::Time,
            Some(("q", _)) => Type::Quantity,
            Some(("x", _)) => Type::IntOrText,
            Some(("o", _)) => Type::Map,
            Some(("@", name)) => numbers.get(name).map_or(Type::Any, |number| Type::Definition(*number)),
            Some(("{", values)) => {
                let values = self.type_of(values, numbers);
                Type::MapOf(self.part(values))
            }
            Some(("[", rest)) => {
                let (keys, items) = rest.split_once(':').unwrap_or(("", rest));
                let items = self.type_of(items, numbers);
                let keys = match keys {
                    "" => Keys::None,
                    "=" => Keys::Whole,
                    fields => Keys::Fields(fields),
                };
                Type::List { items: self.part(items), keys }
            }
            _ => Type::Any,
        }
    }

    fn part(&mut self, kind: Type) -> u32 {
        let at = self.types.iter().position(|known| *known == kind).unwrap_or_else(|| {
            self.types.push(kind);
            self.types.len() - 1
        });
        short(at)
    }

    pub(crate) fn definition(&self, number: u32) -> Option<&Definition> {
        self.definitions.get(number as usize)
    }

    pub(crate) fn named(&self, name: &str) -> Option<u32> {
        self.definitions.iter().position(|definition| definition.name == name).map(short)
    }

    /// A part of a type.
    pub(crate) fn inner(&self, number: u32) -> Type {
        self.types.get(number as usize).copied().unwrap_or(Type::Any)
    }

    pub(crate) fn kind(&self, api_version: &str, kind: &str, minor: u8) -> Option<Kind> {
        self.kinds.get(&(api_version, kind))?.iter().find(|known| known.from <= minor && minor <= known.to).copied()
    }

    /// The kind in any version of Kubernetes.
    pub(crate) fn any_kind(&self, api_version: &str, kind: &str) -> Option<Kind> {
        self.kinds.get(&(api_version, kind))?.first().copied()
    }

    /// Some kind of the group is the API's own.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.kinds.keys().any(|(api_version, _)| api_version.split_once('/').map_or("", |(group, _)| group) == group)
    }

    /// A version of the same group, or of the group it moved to, that has the kind.
    pub(crate) fn elsewhere(&self, group: &str, kind: &str, minor: u8) -> Option<&'static str> {
        let moved = if group == "extensions" { ["apps", "networking.k8s.io"].as_slice() } else { &[] };
        let mut found: Vec<&Kind> = self
            .kinds
            .values()
            .flatten()
            .filter(|known| known.kind == kind && known.from <= minor && minor <= known.to)
            .filter(|known| {
                let its = known.api_version.split_once('/').map_or("", |(group, _)| group);
                its == group || moved.contains(&its)
            })
            .collect();
        // The stable version first: `v2` before `v2beta1`, the newest of them.
        found.sort_by_key(|known| {
            (
                known.api_version.contains("alpha"),
                known.api_version.contains("beta"),
                std::cmp::Reverse(known.api_version),
            )
        });
        found.first().map(|known| known.api_version)
    }

    /// The kind with this name but for case, or in another group.
    pub(crate) fn nearest_kind(&self, kind: &str, minor: u8) -> Option<(&'static str, &'static str)> {
        let served = self.kinds.values().flatten().filter(|known| known.from <= minor && minor <= known.to);
        let mut near: Vec<_> =
            served.filter(|known| known.kind.eq_ignore_ascii_case(kind)).map(|k| (k.api_version, k.kind)).collect();
        near.sort_unstable();
        near.first().copied()
    }
}

fn range(word: Option<&str>) -> (u8, u8) {
    let parsed = word.and_then(|word| word.split_once('-')).map(|(from, to)| (from.parse(), to.parse()));
    match parsed {
        Some((Ok(from), Ok(to))) => (from, to),
        _ => (0, u8::MAX),
    }
}

fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
