//! The connector against engines that this process plays: what a real engine cannot be made to answer, and what exactly is asked. What a real one
//! answers is tested by `real`.

mod engine;
mod misbehaving;
mod requests;
mod tls;
