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
#[expect(missing_docs, clippy::missing_errors_doc, reason = "its names are the protocol's")]
pub mod sim;
pub mod web;
