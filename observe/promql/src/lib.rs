//! PromQL: syntax, plan, evaluation; sees source, never a store.
