//! The time series store.
