//! A small read-through cache of latest quotes: least recently used goes first, old entries do not count.
//!
//! Pure: time comes in as microseconds. With fewer places than symbols it has something to evict.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Places; there are forty symbols.
pub(crate) const ENTRIES_MAX: usize = 24;
/// An older entry is read anew from the database.
pub(crate) const AGE_US_MAX: i64 = 1_500_000;

/// The latest state of one symbol.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Quote {
    pub(crate) symbol: String,
    pub(crate) price: f64,
    pub(crate) bid: f64,
    pub(crate) ask: f64,
    /// Microseconds since 1970.
    pub(crate) at_us: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Cache {
    entries: HashMap<String, Entry>,
    uses: u64,
}

#[derive(Debug)]
struct Entry {
    quote: Quote,
    stored_us: i64,
    last_use: u64,
}

impl Cache {
    /// The entry of a symbol, unless it is too old.
    pub(crate) fn get(&mut self, symbol: &str, now_us: i64) -> Option<Quote> {
        self.uses += 1;
        let uses = self.uses;
        let entry = self.entries.get_mut(symbol)?;
        if now_us.saturating_sub(entry.stored_us) > AGE_US_MAX {
            return None;
        }
        entry.last_use = uses;
        Some(entry.quote.clone())
    }

    /// Keeps a quote. `true` when another had to leave for it.
    pub(crate) fn put(&mut self, quote: Quote, now_us: i64) -> bool {
        self.uses += 1;
        let mut evicted = false;
        if self.entries.len() >= ENTRIES_MAX && !self.entries.contains_key(&quote.symbol) {
            let oldest = self.entries.iter().min_by_key(|(_, entry)| entry.last_use).map(|(symbol, _)| symbol.clone());
            evicted = oldest.is_some_and(|symbol| self.entries.remove(&symbol).is_some());
        }
        self.entries.insert(quote.symbol.clone(), Entry { quote, stored_us: now_us, last_use: self.uses });
        evicted
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// What the entries hold, without the map's own overhead.
    pub(crate) fn bytes(&self) -> usize {
        self.entries.keys().map(|symbol| 2 * symbol.len() + size_of::<(String, Entry)>()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quote(symbol: &str) -> Quote {
        Quote { symbol: symbol.to_owned(), price: 1.0, bid: 0.9, ask: 1.1, at_us: 0 }
    }

    #[test]
    fn the_least_recently_used_leaves_and_old_entries_do_not_count() {
        let mut cache = Cache::default();
        for n in 0..ENTRIES_MAX {
            assert!(!cache.put(quote(&format!("S{n}")), 0));
        }
        assert!(cache.get("S0", 1).is_some());
        assert!(cache.put(quote("NEW"), 1));
        assert!(cache.get("S1", 1).is_none(), "S1 was used longest ago");
        assert!(cache.get("S0", 1).is_some());
        assert!(cache.get("S0", AGE_US_MAX).is_some());
        assert!(cache.get("S0", AGE_US_MAX + 1).is_none());
        assert_eq!(cache.len(), ENTRIES_MAX);
        assert!(cache.bytes() > ENTRIES_MAX * size_of::<Quote>());
    }
}
