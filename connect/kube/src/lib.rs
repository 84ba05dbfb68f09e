//! The connector to a Kubernetes API server, in Kubernetes' own words: kinds, objects, watches, server-side apply.
//!
//! It finds the cluster as `kubectl` does ([`find`]), speaks the API server's JSON over HTTP ([API concepts](https://kubernetes.io/docs/reference/using-api/api-concepts/)),
//! and puts a time limit on every call and a size limit on everything read. Errors are classed: [`KubeError`]. Objects are JSON as the server gives
//! them, so that a before-image is whole and a kind nobody here has heard of is like any other.
//!
//! It rides on `hyper` alone. The ready-made client reads answers without a limit, hides the headers of a refusal (`Retry-After`, `Warning`) and the
//! place of a mistake in a kubeconfig, and brings a type for every kind into the build.
//!
//! It does not know what a plan, a deployment of ours or a service is, writes no label or annotation of its own, and reads no environment variable:
//! whoever calls hands in what was found there. Nothing here retries, except that a call refused for an old login is repeated once with a new one, and
//! that a [`Watch`] goes on until it is dropped.

mod access;
mod address;
mod by_hand;
mod call;
mod classify;
mod cluster;
mod discovery;
mod error;
mod event;
mod exec;
mod find;
mod kubeconfig;
mod list;
mod logs;
mod object;
mod openapi;
mod review;
mod secret;
mod subresource;
mod tls;
mod transport;
mod wait;
mod watch;
mod write;
mod yaml;

pub use address::{ObjectAt, ObjectKey, Resource};
pub use by_hand::ServerLogin;
pub use cluster::{Cluster, ServerVersion};
pub use discovery::{Kind, Kinds};
pub use error::{Admission, Cause, Denied, FieldConflict, KubeError, Said, Target};
pub use event::Event;
pub use find::{Choice, ContextListed, Found, Surroundings, contexts, find};
pub use list::{ListOptions, Page};
pub use logs::{LogLine, LogOptions};
pub use openapi::OpenApiDocument;
pub use review::{Access, AccessQuestion, Rules};
pub use secret::Secret;
pub use subresource::Scale;
pub use watch::{Change, Watch, WatchOptions};
pub use write::{DeleteOptions, Deleted, Patch, Propagation, WriteOptions, Written};

/// What every call gives.
pub type Result<T> = std::result::Result<T, KubeError>;

/// A stream that can be kept anywhere.
pub type Stream<T> = futures_util::stream::BoxStream<'static, Result<T>>;
