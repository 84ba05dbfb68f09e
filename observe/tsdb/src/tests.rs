//! Blocks as a whole: what is written comes back, and what is no block is named and harms nobody.

mod hostile;
mod made;
mod round_trip;
