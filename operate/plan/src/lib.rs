//! What a change is before it happens: what was seen ([`Inventory`]), what will be done ([`Plan`], [`Step`]), what is wrong with it
//! ([`lint`]), how two plans differ ([`diff`]), and how an error of the world is told ([`Failure`]).
//!
//! Everything here is a value or a pure function of values. It knows no clock, no network, no disk and no randomness: whoever plans hands
//! in the moment and the inventory, and the same input gives the same plan with the same id. It does not know what a container or a
//! cluster is either: verbs and objects belong to the targets that carry steps out.

mod calendar;
mod canonical;
mod degraded;
mod diff;
mod dora;
mod estimate;
mod failure;
mod guard;
mod inventory;
mod lint;
mod plan;
mod report;
mod site;
mod step;

pub use base_explain::Severity;
pub use calendar::{Allowed, Calendar, Freeze, WINDOW, Window, hold};
pub use canonical::{Digest, digest};
pub use degraded::Degraded;
pub use diff::{Change, diff};
pub use dora::{Band, Dora, Failed, Key, Reached, dora};
pub use estimate::{Learnt, estimate};
pub use failure::{Class, Failure};
pub use guard::guard;
pub use inventory::{Fact, Inventory, ObjectId, Seen};
pub use lint::{Finding, lint};
pub use plan::{Draft, OnFailure, Plan, PlanId};
pub use report::report;
pub use site::{Site, is_site_name, leases, overlaps, sites, target_of_sites};
pub use step::{Act, Blast, Condition, Estimate, Retry, Step, StepId, Undo, Work};

#[cfg(test)]
mod tests;
