//! The ways in which blocks are coded.

use std::sync::Arc;

use super::huffman::Table;
use super::progressive::Band;

/// How a block of this scan is coded.
#[derive(Debug, Clone)]
pub(super) enum Coding {
    /// All coefficients at once: the tables of each block of a unit.
    Sequential(Vec<(Arc<Table>, Arc<Table>)>),
    /// The first bits of the DC coefficients: the table of each block of a unit.
    DcFirst(Vec<Arc<Table>>),
    /// One more bit of each DC coefficient.
    DcRefine,
    /// A band of AC coefficients, first or refined.
    Ac(Band, Arc<Table>),
}
