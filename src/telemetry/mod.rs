//! What operators read: the log, and the limit on how often it repeats itself.

pub(crate) mod log;
pub(crate) mod repeat;
