//! The three picture formats that the platform takes.

pub use pictures::{Dimensions, Format};
