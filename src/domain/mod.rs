//! The words of the trade, and their rules: pure, no I/O.

pub mod address;
pub mod backoff;
pub mod brand;
pub mod clock;
pub mod event;
pub mod failure;
pub mod glob;
pub mod image;
pub mod notice;
pub mod order;
pub mod text;
pub mod texts;
pub mod upload;
mod word;
