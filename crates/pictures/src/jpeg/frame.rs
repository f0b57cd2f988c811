//! The frame header (T.81 B.2.2): size, components, and how many blocks each scan has of them.

use crate::flaw::Flaw;
use crate::format::Dimensions;

/// The largest width and height that libjpeg reads, and so every browser.
const LARGEST_SIDE: u32 = 65_500;

/// A component: a colour, sampled more or less finely.
#[derive(Debug)]
pub(super) struct Component {
    pub(super) id: u8,
    horizontal: u32,
    vertical: u32,
    pub(super) quantization: usize,
    /// For each coefficient, how many of its lowest bits are still to come; `None`: all of it.
    pub(super) missing_bits: [Option<u8>; 64],
}

/// The frame header.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) progressive: bool,
    pub(super) dimensions: Dimensions,
    pub(super) components: Vec<Component>,
}

impl Frame {
    /// Reads the segment of a SOF0, SOF1 or SOF2 marker.
    ///
    /// # Errors
    /// When it makes no sense, or browsers do not show such a frame.
    pub(super) fn read(progressive: bool, segment: &[u8]) -> Result<Self, Flaw> {
        let &[precision, h1, h0, w1, w0, count, ref components @ ..] = segment else {
            return Err(Flaw::damaged("the frame header of the JPEG is too short"));
        };
        if precision == 12 {
            return Err(Flaw::unsupported(
                "this JPEG has 12 bits a colour, which browsers do not show: save it again as an ordinary JPEG",
            ));
        }
        if precision != 8 || components.len() != 3 * usize::from(count) {
            return Err(Flaw::damaged("the frame header of the JPEG makes no sense"));
        }
        if !(1..=4).contains(&count) {
            return Err(Flaw::unsupported(format!(
                "this JPEG has {count} colour components, browsers show up to 4"
            )));
        }
        let dimensions =
            size(u32::from(u16::from_be_bytes([w1, w0])), u32::from(u16::from_be_bytes([h1, h0])))?;
        let components = components.chunks_exact(3).map(component).collect::<Result<_, _>>()?;
        Ok(Self { progressive, dimensions, components })
    }

    fn finest(&self) -> (u32, u32) {
        let finest = |of: fn(&Component) -> u32| self.components.iter().map(of).max().unwrap_or(1);
        (finest(|component| component.horizontal), finest(|component| component.vertical))
    }

    /// Blocks of this component in a scan of its own (T.81 A.2.2), across and down.
    fn blocks(&self, component: &Component) -> (u32, u32) {
        let (horizontal, vertical) = self.finest();
        let across = (self.dimensions.width * component.horizontal).div_ceil(horizontal).div_ceil(8);
        let down = (self.dimensions.height * component.vertical).div_ceil(vertical).div_ceil(8);
        (across, down)
    }

    /// How many blocks this component has in a scan of its own.
    pub(super) fn block_count(&self, component: usize) -> u32 {
        let (across, down) = self.blocks(&self.components[component]);
        across * down
    }

    /// How many blocks all components have.
    pub(super) fn all_blocks(&self) -> u64 {
        (0..self.components.len()).map(|component| u64::from(self.block_count(component))).sum()
    }

    /// The units of a scan of these components (T.81 A.2), and the component of each block of a unit.
    ///
    /// # Errors
    /// When a unit would have more than the ten blocks that are allowed.
    pub(super) fn units(&self, scan: &[usize]) -> Result<(u32, Vec<usize>), Flaw> {
        if let [only] = scan {
            return Ok((self.block_count(*only), vec![*only]));
        }
        let (horizontal, vertical) = self.finest();
        let units =
            self.dimensions.width.div_ceil(8 * horizontal) * self.dimensions.height.div_ceil(8 * vertical);
        let blocks: Vec<_> = scan
            .iter()
            .flat_map(|&index| {
                let component = &self.components[index];
                std::iter::repeat_n(index, (component.horizontal * component.vertical) as usize)
            })
            .collect();
        if blocks.len() > 10 {
            return Err(Flaw::damaged("a scan of the JPEG has more blocks a unit than there may be"));
        }
        Ok((units, blocks))
    }

    /// Every coefficient of every component is there to its last bit.
    pub(super) fn complete(&self) -> bool {
        let mut coefficients = self.components.iter().flat_map(|component| component.missing_bits.iter());
        coefficients.all(|missing| *missing == Some(0))
    }

    /// The components of which no scan has come.
    pub(super) fn absent(&self) -> usize {
        self.components.iter().filter(|component| component.missing_bits[0].is_none()).count()
    }

    /// Decoders handle these sampling factors in their usual way: powers of two, the first component the finest.
    pub(super) fn usual_sampling(&self) -> bool {
        let usual = |factor: u32| factor.is_power_of_two() && factor <= 2;
        let finest = self.finest();
        self.components.first().is_some_and(|first| (first.horizontal, first.vertical) == finest)
            && self
                .components
                .iter()
                .all(|component| usual(component.horizontal) && usual(component.vertical))
            && self.components.iter().skip(1).all(|component| {
                (component.horizontal, component.vertical) == (1, 1) || self.components.len() == 4
            })
    }
}

fn component(bytes: &[u8]) -> Result<Component, Flaw> {
    let (horizontal, vertical) = (u32::from(bytes[1] >> 4), u32::from(bytes[1] & 15));
    let quantization = usize::from(bytes[2]);
    if !(1..=4).contains(&horizontal) || !(1..=4).contains(&vertical) || quantization > 3 {
        return Err(Flaw::damaged("the frame header of the JPEG makes no sense"));
    }
    Ok(Component { id: bytes[0], horizontal, vertical, quantization, missing_bits: [None; 64] })
}

/// Some document feeders do not know the height when they begin: they write 0 or 65535, and the true one (DNL) after
/// the picture data, where nobody but them looks for it.
fn size(width: u32, height: u32) -> Result<Dimensions, Flaw> {
    if height == 0 || height == 65_535 {
        return Err(Flaw::unsupported(format!(
            "its header leaves the height open ({height} rows), as some scanners with a document feeder do; \
             browsers do not show it: open it in a picture program and save it again"
        )));
    }
    if width > LARGEST_SIDE || height > LARGEST_SIDE {
        return Err(Flaw::unsupported(format!(
            "{width}×{height} is over {LARGEST_SIDE} pixels in one direction, which no browser shows: make it smaller"
        )));
    }
    Dimensions::new(width, height).ok_or_else(|| Flaw::damaged("its header says that it has no pixels"))
}
