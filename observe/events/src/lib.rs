//! The log and span store.
