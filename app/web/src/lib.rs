//! The browser half, embedded.
