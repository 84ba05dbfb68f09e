//! The executor against the fake world: killed at every moment, at random moments of thousands of seeds, with everything going wrong that
//! can. Whatever happens, the run ends in the plan's world or in the world before.

mod away;
mod clock;
mod kills;
mod orders;
mod rig;
mod seeds;
mod takeover;
