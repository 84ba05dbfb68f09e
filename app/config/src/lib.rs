//! apm.yaml as one merged tree in which every node knows its origin.
