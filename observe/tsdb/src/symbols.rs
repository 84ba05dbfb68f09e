//! The strings of a block while it is written: each once, numbered as it comes, and in order at the end.

use hashbrown::HashMap;

/// What a string costs beside its bytes: twice its place and a number.
const STRING_BYTES: usize = 80;

#[derive(Default)]
pub(crate) struct Symbols {
    numbers: HashMap<Box<str>, u32>,
    bytes: usize,
}

impl Symbols {
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(text.into(), number);
        self.bytes += text.len() + STRING_BYTES;
        number
    }

    /// Memory that is held.
    pub(crate) fn size_bytes(&self) -> usize {
        self.bytes
    }

    /// The strings in order, and for each number its place there.
    pub(crate) fn sorted(self) -> (Vec<Box<str>>, Vec<u32>) {
        let mut all: Vec<(Box<str>, u32)> = self.numbers.into_iter().collect();
        all.sort_unstable();
        let mut places = vec![0; all.len()];
        let mut texts = Vec::with_capacity(all.len());
        for (place, (text, number)) in all.into_iter().enumerate() {
            if let Some(slot) = places.get_mut(number as usize) {
                *slot = place as u32;
            }
            texts.push(text);
        }
        (texts, places)
    }
}
