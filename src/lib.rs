//! The life of a file.

pub mod config;
pub mod domain;
