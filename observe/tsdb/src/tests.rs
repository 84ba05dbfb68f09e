//! Blocks as a whole: what is written comes back, and what is no block is named and harms nobody.
#![expect(clippy::disallowed_methods, reason = "the tests spoil files as no program of ours would")]

mod hostile;
mod made;
mod round_trip;
