//! The words of the trade, and their rules: pure, no I/O.

pub(crate) mod address;
pub mod alert;
pub(crate) mod backoff;
pub mod brand;
pub mod clock;
pub(crate) mod event;
pub mod failure;
pub(crate) mod glob;
pub mod image;
pub mod notice;
pub(crate) mod order;
pub mod text;
pub mod texts;
pub mod upload;
mod word;
