//! A file of any bytes is walked in portions of any size: there is no panic, and the verdict is the same.

use pictures::{Budget, Depth, Flaw, Format, Walk, Whole};

const MAX_PIXELS: u64 = 1 << 24;

fn walk(bytes: &[u8], format: Format, depth: Depth, part: usize) -> Result<Whole, Flaw> {
    let mut walk = Walk::new(format, depth, MAX_PIXELS, &Budget::new(96 << 20));
    bytes.chunks(part.max(1)).try_for_each(|part| walk.feed(part))?;
    walk.finish()
}

/// The first byte is the size of a portion.
pub fn check(input: &[u8], format: Format) {
    let Some((part, bytes)) = input.split_first() else { return };
    for depth in [Depth::Decode, Depth::Structure] {
        let whole = walk(bytes, format, depth, usize::MAX);
        let parts = walk(bytes, format, depth, usize::from(*part));
        assert_eq!(whole, parts, "{depth:?}");
        if let Err(flaw) = whole {
            let text = flaw.to_string();
            assert!(!text.contains(['\n', '"', '{']), "{text}");
        }
    }
}
