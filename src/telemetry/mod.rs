//! What operators read: the log, and the limit on how often it repeats itself.

pub mod log;
pub mod repeat;
