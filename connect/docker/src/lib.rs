//! The connector to a Docker engine, in Docker's own words: containers, images, networks, volumes, events.
//!
//! It finds the engine as Docker's own client does ([`find`]), speaks its HTTP API ([Engine API](https://docs.docker.com/reference/api/engine/),
//! 1.41 of Docker 20.10 up to 1.44), and puts a time limit on every call and a size limit on everything read. Errors are classed: [`DockerError`].
//!
//! It rides on `hyper` alone. A ready-made client would be less code here and more in the build, but those there are read answers without a limit,
//! hide the headers of a refusal (`Retry-After`), and show an object only through their own types, while a before-image needs it whole.
//!
//! It does not know what a plan, a deployment or a service is, gives no object a name or label of its own, and reads no environment variable: whoever
//! calls hands in what was found there. Nothing here retries, except that the stream of events is opened again.

mod archive;
mod call;
mod containers;
mod engine;
mod error;
mod events;
mod exec;
mod find;
mod images;
mod json_lines;
mod logs;
mod networks;
mod place;
mod progress;
mod spec;
mod stats;
mod tls;
mod view;
mod volumes;

pub use engine::{Engine, EngineInfo, EngineVersion};
pub use error::{DockerError, Object, Said};
pub use events::{Event, EventFilter};
pub use exec::{ExecOutcome, ExecSpec};
pub use find::{Found, Surroundings, find};
pub use images::{BuildOptions, ImageView, RegistryAuth};
pub use logs::{Channel, LogLine, LogOptions};
pub use networks::NetworkSpec;
pub use place::{Place, TlsFiles};
pub use progress::Progress;
pub use spec::{ContainerSpec, HealthCheck, Limits, Mount, NetworkJoin, Port, Protocol, Publish, Restart};
pub use stats::{BlockIo, ContainerStats, Cpu, Memory, NetworkCounters};
pub use view::{Bounds, ContainerListed, ContainerView, Health, PublishedPort, State, create_body_again};

/// What every call gives.
pub type Result<T> = std::result::Result<T, DockerError>;

/// A stream that can be kept anywhere.
pub type Stream<T> = futures_util::stream::BoxStream<'static, Result<T>>;
