//! What was seen of the world, each fact with its source and its age. A read that was denied or failed is [`Seen::Unknown`]: not absent,
//! and never fine. It does not know how to look.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Digest, Failure, digest};

/// One thing of a target's world: `container/shop-cart`, `image/shop/cart:1.4.2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// The target's word for the kind; it holds no slash.
    pub kind: String,
    pub name: String,
}

impl ObjectId {
    pub fn new(kind: impl Into<String>, name: impl Into<String>) -> ObjectId {
        ObjectId { kind: kind.into(), name: name.into() }
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.kind, self.name)
    }
}

// One string on the wire, so that it can be a key of a JSON object.
impl Serialize for ObjectId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ObjectId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ObjectId, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (kind, name) = text
            .split_once('/')
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no object: expected KIND/NAME")))?;
        Ok(ObjectId::new(kind, name))
    }
}

/// The outcome of one look.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Seen {
    /// It is there, in its target's own words.
    Present(Value),
    /// The world answered that it is not there.
    Absent,
    /// The look failed, so nothing is known.
    Unknown(Failure),
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    pub seen: Seen,
    /// Who said so: `docker inspect on unix:///run/docker.sock`.
    pub source: String,
    /// When it was looked at, milliseconds since 1970.
    pub at_ms: i64,
    /// Not the real source but a cache, a part of the answer, or another source: the reason, for people. `None` is a full answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub degraded: Option<String>,
}

/// All that was looked at for one plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    pub target: String,
    pub facts: BTreeMap<ObjectId, Fact>,
}

impl Inventory {
    pub fn new(target: impl Into<String>) -> Inventory {
        Inventory { target: target.into(), facts: BTreeMap::new() }
    }

    pub fn add(&mut self, object: ObjectId, seen: Seen, source: &str, at_ms: i64) {
        self.facts.insert(object, Fact { seen, source: source.to_owned(), at_ms, degraded: None });
    }

    /// What is known of a thing; one that nobody looked at is unknown, as one that could not be read.
    pub fn look(&self, object: &ObjectId) -> Seen {
        match self.facts.get(object) {
            Some(fact) => fact.seen.clone(),
            None => Seen::Unknown(Failure::new(
                crate::Class::Unknown,
                "inventory.not-looked-at",
                format!("nobody looked at {object}"),
                "survey the target again",
            )),
        }
    }

    /// The value of a thing that is there.
    pub fn present(&self, object: &ObjectId) -> Option<&Value> {
        match &self.facts.get(object)?.seen {
            Seen::Present(value) => Some(value),
            Seen::Absent | Seen::Unknown(_) => None,
        }
    }

    /// What could not be read.
    pub fn unknown(&self) -> impl Iterator<Item = (&ObjectId, &Failure)> {
        self.facts.iter().filter_map(|(object, fact)| match &fact.seen {
            Seen::Unknown(failure) => Some((object, failure)),
            Seen::Present(_) | Seen::Absent => None,
        })
    }

    /// How long ago the oldest look was. Zero for an empty inventory, and for looks that a stepped clock puts into the future.
    pub fn age_ms(&self, now_ms: i64) -> u64 {
        let oldest = self.facts.values().map(|fact| fact.at_ms).min().unwrap_or(now_ms);
        u64::try_from(now_ms.saturating_sub(oldest)).unwrap_or(0)
    }

    /// Of what was seen, not of when or by whom: two looks at an unchanged world are equal.
    pub fn digest(&self) -> Digest {
        let seen: BTreeMap<_, _> = self.facts.iter().map(|(object, fact)| (object, &fact.seen)).collect();
        digest(&(&self.target, seen))
    }
}
