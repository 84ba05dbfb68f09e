//! Which thing it is that has a name: moved it is the same, made anew it is another, however alike they look. A real target's objects are
//! like that (a container keeps its id when it is renamed, and never gets it back once it is removed). It knows no values.

use std::collections::BTreeMap;

use operate_plan::ObjectId;

#[derive(Default)]
pub(crate) struct Things {
    /// The thing that has a name.
    named: BTreeMap<ObjectId, u64>,
    /// The name under which a thing was made.
    made_as: BTreeMap<u64, ObjectId>,
    /// When a thing last lost a name.
    left: BTreeMap<(ObjectId, u64), u64>,
    clock: u64,
}

impl Things {
    /// There is a thing of this name: a new one, if there was none.
    pub(crate) fn make(&mut self, name: &ObjectId) {
        if !self.named.contains_key(name) {
            self.clock += 1;
            self.named.insert(name.clone(), self.clock);
            self.made_as.insert(self.clock, name.clone());
        }
    }

    /// The thing of one name gets another besides.
    pub(crate) fn link(&mut self, from: &ObjectId, to: &ObjectId) {
        if let Some(thing) = self.named.get(from).copied() {
            self.named.insert(to.clone(), thing);
        }
    }

    /// A thing is again what it was called before: as if it had never been called otherwise.
    pub(crate) fn back(&mut self, from: &ObjectId, to: &ObjectId) {
        if let Some(thing) = self.named.remove(from) {
            self.left.remove(&(to.clone(), thing));
            self.named.insert(to.clone(), thing);
        }
    }

    /// Nothing has this name any more.
    pub(crate) fn leave(&mut self, name: &ObjectId) {
        if let Some(thing) = self.named.remove(name) {
            self.clock += 1;
            self.left.insert((name.clone(), thing), self.clock);
        }
    }

    /// Where the thing is that had this name last, if nothing has it now.
    pub(crate) fn gone_to(&self, name: &ObjectId) -> Option<ObjectId> {
        if self.named.contains_key(name) {
            return None;
        }
        let there = self.named.iter().filter_map(|(now, thing)| {
            let left = self.left.get(&(name.clone(), *thing))?;
            Some((*left, now.clone()))
        });
        there.max_by_key(|(left, _)| *left).map(|(_, now)| now)
    }

    /// Whether the thing of this name was made under another, and has no name but this.
    pub(crate) fn is_elsewheres(&self, name: &ObjectId) -> bool {
        let Some(thing) = self.named.get(name) else { return false };
        let names = self.named.values().filter(|named| *named == thing).count();
        names == 1 && self.made_as.get(thing).is_some_and(|made| made != name)
    }
}
