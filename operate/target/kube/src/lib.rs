//! A Kubernetes cluster as a target of plans.

pub mod status;
