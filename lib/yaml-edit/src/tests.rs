//! One function reads a text, makes an edit and compares the bytes; properties do so for texts made at random.

use proptest::prelude::*;
use serde_json::json;

use crate::{Data, Dialect, Editor, FaultKind, Limits, Options, Step, parse};

mod edits;
mod faults;
mod property;

fn path(text: &str) -> Vec<Step> {
    text.split('.')
        .filter(|s| !s.is_empty())
        .map(|s| s.parse::<usize>().map_or_else(|_| Step::from(s), Step::from))
        .collect()
}
