//! Other systems: not built here, and said at compile time rather than at the first write.

compile_error!(
    "base/world has a disk for Linux only so far: write os/<system>.rs after os/linux.rs and name it in os/mod.rs"
);
