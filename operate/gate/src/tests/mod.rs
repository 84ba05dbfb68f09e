//! What a user of the judge would notice, on small stories told by hand. The corpus has its own tests.

mod gate;
mod hostile;
mod questions;
mod settings;
mod story;
mod verdicts;

/// Compares with `golden/NAME.txt`; `cargo xtask bless -p operate-gate` rewrites it.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a golden file of this crate, read and written by its own test")]
fn golden(name: &str, text: &str) {
    let path = format!("{}/src/tests/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let expect = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        text, expect,
        "{name} differs; `cargo xtask bless -p operate-gate` rewrites it if the new text is right"
    );
}
