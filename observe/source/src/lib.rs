//! The waist: contracts to read and append metrics, logs and traces; in-memory fakes.
