//! Tells whether a file is a picture that is whole: a JPEG, PNG or GIF all of whose coded data is there and makes
//! sense. Decoders are made to show something whatever happens; this is made to find out what happened.
//!
//! [`sniff()`] tells the format by the first bytes, or names what the file is instead. [`Walk`] takes the bytes in
//! portions of any size, in little memory, and decodes no pixels: JPEG data is read block by block (`jpeg`), PNG
//! data is inflated row by row (`png`), GIF data is counted code by code (`gif`). [`Flaw`] says what is wrong, in
//! one line for an operator.

mod budget;
mod flaw;
mod format;
mod gif;
mod jpeg;
mod parts;
mod png;
mod sniff;
mod walk;
mod work;

pub use budget::{Budget, Lack, Share};
pub use flaw::Flaw;
pub use format::{Dimensions, Format};
pub use sniff::{HEAD, sniff, zeros};
pub use walk::{Depth, Walk, Whole};
