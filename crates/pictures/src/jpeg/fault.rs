//! What is wrong with a block.

use super::huffman::NoSuchCode;

/// Why a block cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The data ends in it.
    Ended,
    /// It holds a code that no table has.
    NoSuchCode,
    /// It has more coefficients than fit.
    TooMany,
}

impl From<NoSuchCode> for Fault {
    fn from(NoSuchCode: NoSuchCode) -> Self {
        Fault::NoSuchCode
    }
}
