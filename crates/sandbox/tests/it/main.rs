//! The sandbox seen from outside, through a socket and a client written by hand.

#![allow(unreachable_pub, reason = "nothing is outside of a test binary")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests talk to real clocks and files")]
#![allow(clippy::wildcard_imports, reason = "client is the prelude here")]

mod client;
mod faults;
mod program;
mod rules;
mod way;
