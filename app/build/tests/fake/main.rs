//! Builds on an engine in memory: what is built behind what, what is asked of an image, what is left when something goes wrong. That the images
//! then run, and report, is tried by the journeys on a real engine.

mod builds;
mod rig;
