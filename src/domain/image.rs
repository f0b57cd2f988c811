//! The picture formats that the platform takes.

pub use pictures::{Dimensions, Format};
