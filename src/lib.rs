//! The life of a file.
pub mod cli;
pub mod cloud;
pub mod config;
pub mod daemon;
pub mod domain;
pub mod files;
pub mod intake;
pub mod ledger;
pub mod publish;
#[expect(missing_docs, reason = "its fields have the names of the protocol")]
pub mod sim;
pub mod web;
