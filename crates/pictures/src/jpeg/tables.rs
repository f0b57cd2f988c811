//! Tables and settings that scans refer to (T.81 B.2.4).

use std::cell::OnceCell;
use std::sync::Arc;

use super::huffman::{Codes, Table, standard};
use crate::flaw::Flaw;

/// What the segments so far have defined.
#[derive(Debug, Default)]
pub(super) struct Tables {
    dc: [Option<Definition>; 4],
    ac: [Option<Definition>; 4],
    quantization: [bool; 4],
    /// Units between restart markers; 0: there are none.
    pub(super) restart_interval: u32,
    any_huffman: bool,
}

/// The codes of a table. A file may define as many tables as it likes: one is made when a scan needs it, and then once.
#[derive(Debug)]
struct Definition {
    codes: Codes,
    table: OnceCell<Arc<Table>>,
}

impl Definition {
    fn new(codes: Codes) -> Self {
        Self { codes, table: OnceCell::new() }
    }

    fn table(&self) -> Arc<Table> {
        self.table.get_or_init(|| Arc::new(Table::new(&self.codes))).clone()
    }
}

impl Tables {
    /// Reads a DHT segment: any number of tables.
    pub(super) fn huffman(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        let wrong = || Flaw::damaged("a Huffman table of the JPEG makes no sense");
        self.any_huffman = true;
        while let Some((&class_and_number, rest)) = segment.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>().ok_or_else(wrong)?;
            let total: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(total).filter(|_| total <= 256).ok_or_else(wrong)?;
            let codes = Codes::new(*counts, symbols)?;
            let tables = match class_and_number >> 4 {
                0 if codes.fits_dc() => &mut self.dc,
                1 => &mut self.ac,
                _ => return Err(wrong()),
            };
            *tables.get_mut(usize::from(class_and_number & 15)).ok_or_else(wrong)? =
                Some(Definition::new(codes));
            segment = rest;
        }
        Ok(())
    }

    /// Reads a DQT segment: any number of tables of 64 numbers, of which nothing is needed.
    pub(super) fn quantization(&mut self, mut segment: &[u8]) -> Result<(), Flaw> {
        let wrong = || Flaw::damaged("a quantization table of the JPEG makes no sense");
        while let Some((&precision_and_number, rest)) = segment.split_first() {
            let size = if precision_and_number >> 4 == 0 { 64 } else { 128 };
            // libjpeg takes a table that is cut short by the end of its segment
            segment = rest.get(size..).unwrap_or_default();
            *self.quantization.get_mut(usize::from(precision_and_number & 15)).ok_or_else(wrong)? = true;
        }
        Ok(())
    }

    /// Reads a DRI segment.
    pub(super) fn restart_interval(&mut self, segment: &[u8]) -> Result<(), Flaw> {
        let interval: [u8; 2] = segment
            .try_into()
            .map_err(|_| Flaw::damaged("the restart interval of the JPEG makes no sense"))?;
        self.restart_interval = u16::from_be_bytes(interval).into();
        Ok(())
    }

    pub(super) fn has_quantization(&self, number: usize) -> bool {
        self.quantization.get(number).is_some_and(|defined| *defined)
    }

    /// The DC table of this number. Frames of motion JPEG have no tables at all: `standard` ones count then.
    pub(super) fn dc(&self, number: usize, standard: bool) -> Result<Arc<Table>, Flaw> {
        let usual = || self.usual(standard).then(|| standard::dc(number).map(Arc::new)).flatten();
        self.dc
            .get(number)
            .and_then(Option::as_ref)
            .map(Definition::table)
            .or_else(usual)
            .ok_or_else(undefined)
    }

    /// As above, for AC coefficients.
    pub(super) fn ac(&self, number: usize, standard: bool) -> Result<Arc<Table>, Flaw> {
        let usual = || self.usual(standard).then(|| standard::ac(number).map(Arc::new)).flatten();
        self.ac
            .get(number)
            .and_then(Option::as_ref)
            .map(Definition::table)
            .or_else(usual)
            .ok_or_else(undefined)
    }

    fn usual(&self, standard: bool) -> bool {
        standard && !self.any_huffman
    }
}

fn undefined() -> Flaw {
    Flaw::damaged("its picture data needs a table that is not there")
}
