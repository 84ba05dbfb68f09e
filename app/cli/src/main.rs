//! The `apm` binary.

fn main() {}
