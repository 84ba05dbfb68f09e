//! The way from a variable to a part of it. It is a slice of Go: two that were made by adding to the same one may share their end, and the later one
//! writes over the earlier. Sizes are looked up by it, so what the server's estimate sees is seen here too.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

#[derive(Debug, Clone, Default)]
pub(super) struct Path {
    shared: Rc<RefCell<Vec<Arc<str>>>>,
    length: usize,
    room: usize,
}

impl Path {
    pub(super) fn of(name: &Arc<str>) -> Path {
        Path { shared: Rc::new(RefCell::new(vec![Arc::clone(name)])), length: 1, room: 1 }
    }

    pub(super) fn with(&self, name: &Arc<str>) -> Path {
        if self.length < self.room {
            let mut shared = self.shared.borrow_mut();
            shared.truncate(self.room);
            match shared.get_mut(self.length) {
                Some(place) => *place = Arc::clone(name),
                None => shared.push(Arc::clone(name)),
            }
            return Path { shared: Rc::clone(&self.shared), length: self.length + 1, room: self.room };
        }
        let mut names = self.names();
        names.push(Arc::clone(name));
        let room = (self.room * 2).max(1);
        Path { shared: Rc::new(RefCell::new(names)), length: self.length + 1, room }
    }

    /// One of its own, which shares nothing.
    pub(super) fn apart_with(&self, name: &str) -> Path {
        let mut names = self.names();
        names.push(name.into());
        let (length, room) = (names.len(), names.len());
        Path { shared: Rc::new(RefCell::new(names)), length, room }
    }

    pub(super) fn names(&self) -> Vec<Arc<str>> {
        self.shared.borrow().iter().take(self.length).cloned().collect()
    }
}
