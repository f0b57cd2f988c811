//! What a file is, by its first bytes.

mod altered;
mod magic;
mod media;
mod text;

use crate::flaw::Flaw;
use crate::format::Format;

/// How many bytes are looked at.
pub const HEAD: usize = 4 << 10;

const PICTURES: [(&[u8], Format); 4] = [
    (b"\xff\xd8\xff", Format::Jpeg),
    (b"\x89PNG", Format::Png),
    (b"GIF87a", Format::Gif),
    (b"GIF89a", Format::Gif),
];

/// Something that is no picture for us: what it is, and what to do about it.
#[derive(Debug, Clone, Copy)]
struct Other {
    name: &'static str,
    advice: &'static str,
}

impl Other {
    const fn new(name: &'static str) -> Self {
        Self { name, advice: "" }
    }

    const fn with(name: &'static str, advice: &'static str) -> Self {
        Self { name, advice }
    }
}

/// Tells the format by up to [`HEAD`] bytes.
///
/// # Errors
/// Names what it is instead. A beginning of zeros is judged by the whole file: see [`zeros`].
pub fn sniff(head: &[u8]) -> Result<Format, Flaw> {
    if head.is_empty() {
        return Err(Flaw::truncated("it is empty"));
    }
    if let Some((_, format)) = PICTURES.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Ok(*format);
    }
    if begins_like_a_jpeg(head) {
        return Ok(Format::Jpeg);
    }
    if PICTURES.iter().any(|(magic, _)| magic.starts_with(head)) {
        let count = head.len();
        return Err(Flaw::truncated(match count {
            1 => format!("only its first {count} byte is there"),
            _ => format!("only its first {count} bytes are there"),
        }));
    }
    let other = altered::picture(head)
        .or_else(|| media::name(head))
        .or_else(|| magic::name(head))
        .or_else(|| altered::later(head))
        .or_else(|| text::name(head))
        .unwrap_or(Other::new("a file of a kind that is not known here"));
    let Other { name, advice } = other;
    Err(Flaw::unsupported(match advice {
        "" => format!("this is {name}, not a JPG, PNG or GIF"),
        advice => format!("this is {name}, not a JPG, PNG or GIF: {advice}"),
    }))
}

/// What is wrong with a file whose first `zeros` bytes are zeros, of `size` altogether. Copiers that reserve the place
/// first leave such files when they are broken off, and so do file systems after a power cut.
pub fn zeros(zeros: u64, size: u64) -> Flaw {
    if zeros >= size {
        return Flaw::truncated("it holds nothing but zeros");
    }
    Flaw::damaged(format!("its first {zeros} bytes are zeros"))
}

/// Its start marker, some junk, and the marker of a segment that comes first.
fn begins_like_a_jpeg(head: &[u8]) -> bool {
    const MOST_JUNK: usize = 64;
    let start = head.strip_prefix(b"\xff\xd8").unwrap_or_default();
    let junk = &start[..start.len().min(MOST_JUNK)];
    junk.windows(2)
        .any(|pair| pair[0] == 0xff && matches!(pair[1], 0xc0..=0xc4 | 0xdb | 0xdd | 0xe0..=0xef | 0xfe))
}

fn starts_with_any(bytes: &[u8], starts: &[&[u8]]) -> bool {
    starts.iter().any(|start| bytes.starts_with(start))
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(bytes, part).is_some()
}

#[cfg(test)]
mod tests;
