//! The scan header (T.81 B.2.3): which components come, and which part of their coefficients.

use super::coding::Coding;
use super::frame::Frame;
use super::progressive::{Band, History};
use super::tables::Tables;
use crate::budget::Budget;
use crate::flaw::Flaw;

/// A scan header that makes sense in its frame.
#[derive(Debug)]
pub(super) struct ScanHeader {
    /// By their place in the frame.
    pub(super) components: Vec<usize>,
    /// The numbers of the tables of each component, for DC and for AC.
    tables: Vec<(usize, usize)>,
    /// The band of coefficients.
    start: u32,
    end: u32,
    /// Bits that were still missing before this scan, and that are missing after it.
    before: u8,
    after: u8,
}

impl ScanHeader {
    pub(super) fn read(segment: &[u8], frame: &Frame) -> Result<Self, Flaw> {
        let wrong = || Flaw::damaged("the header of a part of its picture data makes no sense");
        let (&count, rest) = segment.split_first().ok_or_else(wrong)?;
        let count = usize::from(count);
        let (selectors, parameters) = rest.split_at_checked(2 * count).ok_or_else(wrong)?;
        let &[start, end, bits] = parameters else { return Err(wrong()) };
        let mut header = Self {
            components: Vec::with_capacity(count),
            tables: Vec::with_capacity(count),
            start: start.into(),
            end: end.into(),
            before: bits >> 4,
            after: bits & 15,
        };
        for selector in selectors.chunks_exact(2) {
            // some files give the same id to all components: the next one is meant
            let is_it = |index: &usize| {
                frame.components[*index].id == selector[0] && !header.components.contains(index)
            };
            let index = (0..frame.components.len()).find(is_it).ok_or_else(wrong)?;
            header.components.push(index);
            header.tables.push((usize::from(selector[1] >> 4), usize::from(selector[1] & 15)));
        }
        if !frame.progressive {
            // some phones write odd numbers here, which mean nothing in a sequential frame
            (header.start, header.end, header.before, header.after) = (0, 63, 0, 0);
        }
        let sound = (1..=4).contains(&count) && (!frame.progressive || header.makes_a_progression());
        if sound { Ok(header) } else { Err(wrong()) }
    }

    /// T.81 G.1.1.1: DC coefficients come alone, AC coefficients of one component at a time, bit by bit.
    fn makes_a_progression(&self) -> bool {
        let band = match self.start {
            0 => self.end == 0,
            start => start <= self.end && self.end < 64 && self.components.len() == 1,
        };
        band && self.after <= 13 && (self.before == 0 || self.before == self.after + 1)
    }

    fn is_refinement(&self) -> bool {
        self.before > 0
    }

    /// Notes in the frame what comes with this scan.
    ///
    /// # Errors
    /// When it continues what did not come before.
    pub(super) fn note(&self, frame: &mut Frame) -> Result<(), Flaw> {
        for component in &self.components {
            for bits in
                &mut frame.components[*component].missing_bits[self.start as usize..=self.end as usize]
            {
                if frame.progressive && bits.unwrap_or(0) != self.before {
                    return Err(Flaw::damaged("a part of its picture data is missing"));
                }
                *bits = Some(self.after);
            }
        }
        Ok(())
    }

    /// Sees to it that coefficients which are refined later are remembered; false: there is never so much memory.
    ///
    /// # Errors
    /// When others have it now.
    pub(super) fn keep_history(
        &self,
        frame: &Frame,
        history: &mut History,
        budget: &Budget,
    ) -> Result<bool, Flaw> {
        if !frame.progressive || self.start == 0 || (self.after == 0 && !self.is_refinement()) {
            return Ok(true);
        }
        history.keep(self.components[0], frame.block_count(self.components[0]), frame.all_blocks(), budget)
    }

    /// How the blocks of this scan are coded.
    ///
    /// # Errors
    /// When a table is missing.
    pub(super) fn coding(&self, frame: &Frame, tables: &Tables) -> Result<Coding, Flaw> {
        let quantized =
            |component: &usize| tables.has_quantization(frame.components[*component].quantization);
        if !self.components.iter().all(quantized) {
            return Err(Flaw::damaged("its picture data needs a table that is not there"));
        }
        let standard = !frame.progressive;
        let (_, blocks) = frame.units(&self.components)?;
        let of_block = |component: &usize| {
            let at = self.components.iter().position(|index| index == component).unwrap_or_default();
            self.tables[at]
        };
        let numbers = blocks.iter().map(of_block);
        Ok(match (frame.progressive, self.start, self.is_refinement()) {
            (false, ..) => Coding::Sequential(
                numbers
                    .map(|(dc, ac)| Ok((tables.dc(dc, standard)?, tables.ac(ac, standard)?)))
                    .collect::<Result<_, Flaw>>()?,
            ),
            (true, 0, false) => {
                Coding::DcFirst(numbers.map(|(dc, _)| tables.dc(dc, standard)).collect::<Result<_, _>>()?)
            }
            (true, 0, true) => Coding::DcRefine,
            (true, ..) => {
                let band = Band::new(self.components[0], (self.start, self.end), self.is_refinement());
                Coding::Ac(band, tables.ac(self.tables[0].1, standard)?)
            }
        })
    }
}
