//! The life of a file.

pub mod config;
pub mod domain;
pub mod files;
pub mod intake;
pub mod ledger;
