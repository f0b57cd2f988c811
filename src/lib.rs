//! brandpost: a picture dropped into a brand's folder is on OSS seconds later, and the database says so.
//!
//! # The life of a file
//!
//! Somebody drops `front.jpg` into `inbox/OWNBRAND/1001`. inotify wakes [`intake`], which means no more than
//! "scan again": the folder is listed and compared with the table. The file is new and was closed after
//! writing, so it is opened (through [`files`], which follows no links) and inspected: sniffed by content,
//! read to its last coded block and hashed, in one pass.
//!
//! What may become of it is decided in one place, [`domain::brand`]: a picture that is new to its brand gets the lowest
//! free slot and is queued. The [`ledger`] loads the brand, applies the rule and commits what changed. That commit is the
//! only thing that passes between the two halves of the daemon.
//!
//! [`publish`] is woken by the commit. It waits for a permit, a closed circuit breaker and its turn in the pace, claims
//! the file, and makes an attempt: it opens the file, makes sure that it is still the inspected one, asks the gateway for
//! credentials for exactly this slot (through [`cloud`]), and streams it to OSS. The checksums of
//! the answer are compared with those of the inspection. The end of the attempt is one more rule and one more commit:
//! `uploaded`, or `retrying` with its due time in the row, or `failed` with the cloud's own message.
//!
//! Whenever the process dies in between, the next start finds the row as the last commit left it and the
//! folder as it is, and goes the same way.

// what all use
pub mod config;
pub(crate) mod descriptors;
pub mod domain;
pub mod files;
pub(crate) mod fs_timeout;
pub mod memory;
pub mod metrics;
pub(crate) mod sockets;
pub(crate) mod telemetry;

// a file's life: folder, table, bucket
pub mod intake;

pub mod ledger;

pub mod publish;

pub mod cloud;

// around it: the process, and those who ask
pub(crate) mod alerts;
pub mod daemon;

pub mod web;

pub mod cli;
