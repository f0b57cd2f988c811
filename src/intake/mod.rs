//! x
pub mod inspect;
