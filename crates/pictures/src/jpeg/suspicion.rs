//! What coded data never looks like, though its codes make sense: the traces of tools that left holes in a file, or took
//! it for text.

use super::coding::Coding;
use super::huffman::Table;

/// So many zeros in a row are a hole where zeros stand for coefficients.
const HOLE: usize = 64;
/// So many line feeds, each behind a carriage return, are no accident.
const LINES: u32 = 16;

/// What was seen of a scan's bytes.
#[derive(Debug, Default)]
pub(super) struct Suspicion {
    /// Zeros at the end of what was seen.
    zeros: usize,
    hole: bool,
    line_feeds: u32,
    without_return: bool,
    last: u8,
}

impl Suspicion {
    /// Takes coded data.
    pub(super) fn take(&mut self, bytes: &[u8]) {
        self.look_for_holes(bytes);
        for at in memchr::memchr_iter(b'\n', bytes) {
            let before = if at == 0 { self.last } else { bytes[at - 1] };
            self.line_feeds += 1;
            self.without_return |= before != b'\r';
        }
        self.last = bytes.last().copied().unwrap_or(self.last);
    }

    /// A restart marker stands before what is taken next.
    pub(super) fn interval(&mut self) {
        (self.zeros, self.last) = (0, 0);
    }

    /// A hole covers at least one of the places that are a hole's length apart.
    fn look_for_holes(&mut self, bytes: &[u8]) {
        let zeros = |bytes: &[u8]| bytes.iter().take_while(|byte| **byte == 0).count();
        let zeros_back = |bytes: &[u8]| bytes.iter().rev().take_while(|byte| **byte == 0).count();
        let leading = zeros(bytes);
        self.hole |= self.zeros + leading >= HOLE;
        self.zeros = if leading == bytes.len() { self.zeros + leading } else { zeros_back(bytes) };
        let mut at = HOLE - 1;
        while at < bytes.len() && !self.hole {
            self.hole = bytes[at] == 0 && zeros_back(&bytes[..at]) + zeros(&bytes[at..]) >= HOLE;
            at += HOLE;
        }
    }

    /// What is wrong with the data, if anything.
    pub(super) fn verdict(&self, coding: &Coding) -> Option<&'static str> {
        if self.hole && zeros_mean_something(coding) {
            return Some("there are zeros in place of a part of its picture data");
        }
        let text = self.line_feeds >= LINES && !self.without_return;
        text.then_some("it was changed on the way, as by a transfer in text mode")
    }
}

/// Zeros are coefficients here. In a picture with large areas of one colour they may stand for "nothing more".
fn zeros_mean_something(coding: &Coding) -> bool {
    let ac = |table: &Table| table.zeros().is_some_and(|symbol| symbol & 15 != 0);
    match coding {
        Coding::Sequential(tables) => tables.iter().any(|(_, table)| ac(table)),
        Coding::DcFirst(tables) => tables.iter().any(|table| table.zeros().is_some_and(|size| size != 0)),
        Coding::DcRefine => false,
        Coding::Ac(band, table) => !band.is_refinement() && ac(table),
    }
}
