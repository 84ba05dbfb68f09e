//! Objects of a Kubernetes API server as targets, as Prometheus 3 finds them: the same roles, addresses and `__meta_kubernetes_*` labels.
//!
//! Source: <https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config>. Objects come as JSON from whoever
//! watches them; this asks no server.
//!
//! ```text
//! KubernetesSdConfig ─ View::new ─ wants() → watches → Object::read → see() … listed() → drain() → Group
//! ```

mod config;
mod endpoints;
mod labels;
mod nodes;
mod object;
mod pods;
mod selector;
mod services;
#[cfg(test)]
mod tests;
mod view;

pub use config::{
    AttachMetadata, Authorization, BasicAuth, Hidden, KubernetesSdConfig, KubernetesSdError, Namespaces, Role,
    Selector, TlsFiles,
};
pub use object::{Kind, Object};
pub use view::{View, Want};
