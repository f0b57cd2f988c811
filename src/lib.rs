//! The life of a file.
pub mod domain;
pub mod config;
pub mod files;
pub mod intake;
pub mod ledger;
pub mod publish;
pub mod cloud;
pub mod daemon;
pub mod web;
pub mod cli;
pub mod sim;
