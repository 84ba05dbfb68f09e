//! The objects and what can be done with them. Each change is made in small parts with a moment between, so that a kill or a fault leaves
//! it half done.
//!
//! Verbs of acts: `put` (make the object `with`), `remove`, `move` (to the object named by `with.to`, within the same kind). Tests of
//! conditions: `equals` (`with`), `present`, `absent`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base_world::Clock;
use operate_execute::{Context, Done, Fence, Image, Met, Target};
use operate_plan::{Act, Class, Condition, Failure, Inventory, ObjectId, Seen};
use parking_lot::Mutex;
use serde_json::{Map, Value};

use crate::things::Things;
use crate::{Crash, Fault, Faults};

struct Inner {
    objects: BTreeMap<ObjectId, Value>,
    things: Things,
    lost: u64,
    /// A restore that was claimed and not done: what follows from it is nobody's fault.
    lied: bool,
    faults: Faults,
    fence: Fence,
    refused_tokens: u64,
    writes: u64,
}

/// Objects in memory.
pub struct FakeWorld {
    inner: Mutex<Inner>,
    crash: Arc<Crash>,
    clock: Arc<dyn Clock>,
    /// How long each call takes.
    call_ms: u64,
}

impl FakeWorld {
    pub fn new(
        objects: BTreeMap<ObjectId, Value>,
        faults: Faults,
        crash: Arc<Crash>,
        clock: Arc<dyn Clock>,
    ) -> FakeWorld {
        let mut things = Things::default();
        objects.keys().for_each(|object| things.make(object));
        let inner =
            Inner { objects, things, lost: 0, lied: false, faults, fence: Fence(0), refused_tokens: 0, writes: 0 };
        FakeWorld { inner: Mutex::new(inner), crash, clock, call_ms: 20 }
    }

    /// The same, where each call takes so long.
    pub fn slow(self, call_ms: u64) -> FakeWorld {
        FakeWorld { call_ms, ..self }
    }

    /// What is there now.
    pub fn objects(&self) -> BTreeMap<ObjectId, Value> {
        self.inner.lock().objects.clone()
    }

    /// From now on these go wrong.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.lock().faults = faults;
    }

    /// Calls that came with a token lower than one seen before, and were refused.
    pub fn refused_tokens(&self) -> u64 {
        self.inner.lock().refused_tokens
    }

    /// Things that were moved and then deleted where they had gone, by an undo that should have moved them back: made anew they look the
    /// same, and are not.
    pub fn lost(&self) -> u64 {
        self.inner.lock().lost
    }

    /// Small changes made in all.
    pub fn writes(&self) -> u64 {
        self.inner.lock().writes
    }

    /// The beginning of every call: takes its time, may fail.
    async fn enter(&self, context: &Context) -> Result<Option<Fault>, Failure> {
        self.crash.moment().await;
        let fault = {
            let mut inner = self.inner.lock();
            if context.fence < inner.fence {
                inner.refused_tokens += 1;
                let message = format!("token {} is older than {}", context.fence.0, inner.fence.0);
                return Err(Failure::new(Class::Conflict, "fake.fenced", message, "another apm goes on with the run"));
            }
            inner.fence = context.fence;
            inner.faults.draw()
        };
        tokio::time::sleep(Duration::from_millis(self.call_ms)).await;
        match fault {
            Some(fault @ (Fault::Refused | Fault::Throttled | Fault::Denied)) => Err(fault.failure()),
            Some(Fault::Slow { ms }) => {
                tokio::time::sleep(Duration::from_millis(ms)).await;
                Ok(None)
            }
            other => Ok(other),
        }
    }

    /// Makes parts of a change, one by one.
    async fn change(&self, context: &Context, fault: Option<Fault>, parts: Vec<Part>) -> Result<(), Failure> {
        if fault == Some(Fault::Lie) {
            return Ok(());
        }
        let half = parts.len() / 2;
        for (position, part) in parts.into_iter().enumerate() {
            if fault == Some(Fault::Partial) && position == half {
                return Err(Fault::Partial.failure());
            }
            self.crash.moment().await;
            let mut inner = self.inner.lock();
            // Somebody took over in the middle: the world does not take the rest.
            if context.fence < inner.fence {
                inner.refused_tokens += 1;
                return Err(Failure::new(
                    Class::Conflict,
                    "fake.fenced",
                    "taken over in the middle",
                    "let the other go on",
                ));
            }
            inner.writes += 1;
            part.apply(&mut inner);
        }
        self.crash.moment().await;
        match fault {
            Some(Fault::LostAnswer) => Err(Fault::LostAnswer.failure()),
            _ => Ok(()),
        }
    }

    fn parts_to(&self, object: &ObjectId, wanted: Option<&Value>) -> Vec<Part> {
        let now = self.inner.lock().objects.get(object).cloned();
        if now.as_ref() == wanted {
            return Vec::new();
        }
        match (now, wanted) {
            (_, None) => vec![Part::Remove(object.clone())],
            (now, Some(Value::Object(wanted))) => {
                let gone = match &now {
                    Some(Value::Object(now)) => now.keys().filter(|key| !wanted.contains_key(*key)).cloned().collect(),
                    _ => Vec::new(),
                };
                let fields =
                    wanted.iter().map(|(key, value)| Part::Field(object.clone(), key.clone(), Some(value.clone())));
                fields.chain(gone.into_iter().map(|key| Part::Field(object.clone(), key, None))).collect()
            }
            (_, Some(value)) => vec![Part::Whole(object.clone(), value.clone())],
        }
    }
}

/// The smallest change.
enum Part {
    Remove(ObjectId),
    Whole(ObjectId, Value),
    /// The same thing by another name, until the first is removed.
    Link {
        from: ObjectId,
        to: ObjectId,
    },
    /// A thing is again where it was moved from.
    Back {
        from: ObjectId,
        to: ObjectId,
    },
    Field(ObjectId, String, Option<Value>),
}

impl Part {
    fn apply(self, inner: &mut Inner) {
        let Inner { objects, things, .. } = inner;
        match self {
            Part::Remove(object) => {
                objects.remove(&object);
                things.leave(&object);
            }
            Part::Whole(object, value) => {
                things.make(&object);
                objects.insert(object, value);
            }
            Part::Link { from, to } => {
                if let Some(value) = objects.get(&from).cloned() {
                    things.link(&from, &to);
                    objects.insert(to, value);
                }
            }
            Part::Back { from, to } => {
                if let Some(value) = objects.remove(&from) {
                    things.back(&from, &to);
                    objects.insert(to, value);
                }
            }
            Part::Field(object, key, value) => {
                things.make(&object);
                let entry = objects.entry(object).or_insert_with(|| Value::Object(Map::new()));
                if !entry.is_object() {
                    *entry = Value::Object(Map::new());
                }
                let Some(fields) = entry.as_object_mut() else { return };
                match value {
                    Some(value) => fields.insert(key, value),
                    None => fields.remove(&key),
                };
            }
        }
    }
}

#[async_trait]
impl Target for FakeWorld {
    async fn survey(&self, objects: &[ObjectId]) -> Inventory {
        let mut inventory = Inventory::new("fake");
        let now_ms = self.clock.now_ms();
        for object in objects {
            let mut inner = self.inner.lock();
            let seen = match inner.faults.draw() {
                Some(fault @ (Fault::Refused | Fault::Throttled | Fault::Denied)) => Seen::Unknown(fault.failure()),
                _ => inner.objects.get(object).cloned().map_or(Seen::Absent, Seen::Present),
            };
            inventory.add(object.clone(), seen, "the fake world", now_ms);
        }
        inventory
    }

    async fn check(&self, context: &Context, condition: &Condition) -> Result<Met, Failure> {
        self.enter(context).await?;
        let now = self.inner.lock().objects.get(&condition.object).cloned();
        let holds = match condition.verb.as_str() {
            "present" => now.is_some(),
            "absent" => now.is_none(),
            "equals" => now.as_ref() == Some(&condition.with),
            other => return Err(no_verb(other)),
        };
        // What it is instead may be a secret.
        let told = now.map_or("it is not there", |_| "it is something else").to_owned();
        Ok(if holds { Met::Yes } else { Met::No(told) })
    }

    async fn image(&self, context: &Context, object: &ObjectId) -> Result<Image, Failure> {
        self.enter(context).await?;
        Ok(self.inner.lock().objects.get(object).cloned().map_or(Image::Absent, Image::Present))
    }

    async fn act(&self, context: &Context, act: &Act) -> Result<Done, Failure> {
        let fault = self.enter(context).await?;
        let parts = match act.verb.as_str() {
            "put" => self.parts_to(&act.object, Some(&act.with)),
            "remove" => self.parts_to(&act.object, None),
            "move" => {
                let to = act.with.get("to").and_then(Value::as_str).unwrap_or_default();
                let to = ObjectId::new(act.object.kind.clone(), to);
                let from = self.inner.lock().objects.get(&act.object).cloned();
                // Nothing to move: it was moved by an attempt that was cut off.
                from.map_or_else(Vec::new, |_| {
                    let (from, gone) = (act.object.clone(), act.object.clone());
                    vec![Part::Link { from, to }, Part::Remove(gone)]
                })
            }
            other => return Err(no_verb(other)),
        };
        self.change(context, fault, parts).await?;
        Ok(Done { touched: act.touches.clone(), note: String::new() })
    }

    async fn restore(&self, context: &Context, object: &ObjectId, before: &Image) -> Result<(), Failure> {
        let fault = self.enter(context).await?;
        let parts = match before {
            Image::Absent => {
                let mut inner = self.inner.lock();
                inner.lost += u64::from(!inner.lied && fault != Some(Fault::Lie) && inner.things.is_elsewheres(object));
                drop(inner);
                self.parts_to(object, None)
            }
            Image::Present(value) => {
                self.inner.lock().lied |= fault == Some(Fault::Lie);
                let gone_to = self.inner.lock().things.gone_to(object);
                let back = gone_to.map(|from| Part::Back { from, to: object.clone() });
                // Moved back it may not be yet what it was.
                let then = match &back {
                    None => self.parts_to(object, Some(value)),
                    Some(_) => vec![Part::Whole(object.clone(), value.clone())],
                };
                back.into_iter().chain(then).collect()
            }
        };
        self.change(context, fault, parts).await
    }
}

fn no_verb(verb: &str) -> Failure {
    Failure::new(Class::Invalid, "fake.verb", format!("the fake world cannot `{verb}`"), "use put, remove or move")
}
