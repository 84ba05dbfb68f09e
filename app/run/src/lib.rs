//! The supervisor of apm run.
