//! Why a role cannot run, with what to do.

/// An error that ends a role.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The arguments make no sense.
    #[error("{problem}\n  hint: {hint}")]
    Usage {
        /// What is wrong.
        problem: String,
        /// What to write instead.
        hint: String,
    },
    /// Telemetry could not be set up.
    #[error(transparent)]
    Telemetry(#[from] lib_instrument::InstrumentError),
    /// The address is taken or not ours.
    #[error(
        "cannot listen on {address}: {reason}\n  hint: choose another port with --listen, or 127.0.0.1:0 for any free one"
    )]
    Listen {
        /// `host:port`
        address: String,
        /// The operating system's words.
        reason: String,
    },
    /// The HTTP client could not be built.
    #[error("the HTTP client could not be built: {0}")]
    Client(String),
    /// The database could not be opened.
    #[error(
        "the database {path} cannot be opened: {reason}\n  hint: --data-dir must be a folder that this user can write"
    )]
    Database {
        /// The file.
        path: String,
        /// SQLite's words.
        reason: String,
    },
    /// The listener broke while serving.
    #[error("serving stopped: {0}")]
    Serving(#[from] std::io::Error),
}

impl Error {
    pub(crate) fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { problem: problem.into(), hint: hint.into() }
    }
}
