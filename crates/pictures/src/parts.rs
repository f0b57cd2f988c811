//! Helpers for walks that take bytes in portions of any size.

/// Collects a piece of known length from bytes that come in any portions.
#[derive(Debug, Default)]
pub(crate) struct Piece(Vec<u8>);

impl Piece {
    /// Takes from `bytes` what is missing to `length`; gives the piece when it is whole.
    pub(crate) fn take(&mut self, bytes: &mut &[u8], length: usize) -> Option<Vec<u8>> {
        let missing = length.saturating_sub(self.0.len()).min(bytes.len());
        let (head, tail) = bytes.split_at(missing);
        self.0.extend_from_slice(head);
        *bytes = tail;
        (self.0.len() == length).then(|| std::mem::take(&mut self.0))
    }
}

/// The next byte; a step is taken only while there is one.
pub(crate) fn next(bytes: &mut &[u8]) -> u8 {
    let (first, rest) = bytes.split_first().map_or((0, &[][..]), |(first, rest)| (*first, rest));
    *bytes = rest;
    first
}

/// Passes over up to `left` bytes; true when none are left to pass over.
pub(crate) fn skip(bytes: &mut &[u8], left: &mut usize) -> bool {
    let step = (*left).min(bytes.len());
    *bytes = &bytes[step..];
    *left -= step;
    *left == 0
}
