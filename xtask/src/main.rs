//! Our own tooling.

fn main() {}
