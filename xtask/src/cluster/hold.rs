//! A cluster for as long as someone holds our input: for tests, which may be killed at any time. It does not know who holds it.

use std::io::{Read, Write};

use super::instance::{Instance, Wishes};
use super::{down, kubeconfig, up};
use crate::sh;

/// Starts it, prints the path of the administrator's kubeconfig in one line, waits for the end of the input, and takes it away.
pub(super) fn hold(name: &str, wishes: &Wishes) -> sh::Outcome {
    up::ensure(name, wishes)?;
    let path = kubeconfig::path(&Instance::open(name)?, "admin");
    // Whoever reads it may be gone already; then the input has ended too, and the cluster must go.
    let mut output = std::io::stdout();
    let _ = writeln!(output, "{}", path.display()).and_then(|()| output.flush());
    let mut said = [0; 64];
    while std::io::stdin().read(&mut said).is_ok_and(|count| count > 0) {}
    down::gone(name).map(drop)
}
