//! The sandbox seen from outside, through a socket and a client written by hand.

#![allow(clippy::wildcard_imports, reason = "client is the prelude here")]

mod client;
mod faults;
mod rules;
mod way;
