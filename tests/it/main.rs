//! One binary for all integration tests: real files, a real `SQLite` file, real sockets, and a sandbox cloud
//! that verifies signatures by itself.

#![allow(unreachable_pub, reason = "nothing is outside of a test binary")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(clippy::disallowed_methods, reason = "tests talk to real clocks and files")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "long runs say how far they are")]
#![allow(clippy::cast_possible_truncation, reason = "test pictures are small")]

mod alerts;
mod answers;
mod architecture;
mod backlog;
mod check;
mod checksums;
mod cli;
mod cloud;
mod concurrent_hosts;
mod crash;
mod crowd;
mod damage;
mod destination;
mod endless;
mod folders;
mod grants;
mod hosts_crash;
mod https;
mod hung;
mod in_between;
mod labels;
mod ledger;
mod lifecycle;
mod lists;
mod logs;
mod metrics;
mod mounted;
mod moved_inbox;
mod operators;
mod overflow;
mod packaging;
mod pauses;
mod postgres;
mod postgres_roles;
mod queries;
mod reference;
mod same_stamp;
mod several_hosts;
#[path = "../sim/mod.rs"]
mod simulation;
mod slots;
mod support;
mod terminal;
mod texts;
mod users;
mod way;
mod web;
