//! Targets that something else knows of: the model of what is found, and the contract of whoever finds it.
//!
//! [`Discover`] is filled by `app`. What a cluster's objects mean is in [`kubernetes`], what a web service's answer means in [`http`], both pure. Nothing here calls anyone.

pub mod http;
pub mod kubernetes;

use std::collections::BTreeSet;
use std::future::Future;

use base_signal::Labels;

/// Targets that come and go together, such as the ports of one pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// What tells it from the other groups of one discovery: `pod/shop/cart-1`.
    pub source: String,
    /// Labels of each target, among them `__address__`.
    pub targets: Vec<Labels>,
    /// Labels of all of them; one of the target's own of the same name counts instead.
    pub labels: Labels,
}

impl Group {
    /// Without targets: gone, or not there yet.
    pub fn empty(source: String) -> Group {
        Group { source, targets: Vec::new(), labels: Labels::empty() }
    }
}

/// What is different since the last time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Each takes the place of the group with the same source; one without targets is gone.
    pub groups: Vec<Group>,
    /// Everything that was there at the start has been told.
    pub complete: bool,
    /// What is wrong now, in words; what was found before stays.
    pub troubles: BTreeSet<String>,
}

/// Finds targets for as long as it lives.
pub trait Discover: Send {
    /// Waits until something is different. Nothing is lost when the waiting is given up.
    fn next(&mut self) -> impl Future<Output = Changes> + Send;
}
