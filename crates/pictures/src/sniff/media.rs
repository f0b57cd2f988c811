//! Containers that hold many kinds: ISO base media files, RIFF, and what tells itself only by its header's numbers.

use super::{Other, contains, starts_with_any};

pub(super) fn name(head: &[u8]) -> Option<Other> {
    let kind = head.get(4..8).unwrap_or_default();
    match kind {
        b"ftyp" => return Some(base_media(head)),
        b"wide" | b"mdat" | b"moov" | b"pnot" | b"skip" | b"free" => {
            return Some(Other::new("a video (QuickTime)"));
        }
        _ => {}
    }
    if starts_with_any(head, &[b"RIFF", b"RIFX"]) {
        return Some(riff(head));
    }
    if is_targa(head) {
        return Some(Other::new("a TGA picture"));
    }
    is_bitmap(head).then_some(Other::new("a BMP picture"))
}

/// ISO/IEC 14496-12: the main brand, a version, and the brands that it is compatible with.
fn base_media(head: &[u8]) -> Other {
    let length = head.first_chunk().map_or(0, |length| u32::from_be_bytes(*length) as usize);
    let brands = head.get(8..length.clamp(12, 512).min(head.len())).unwrap_or_default();
    let is = |names: &[&[u8; 4]]| brands.chunks_exact(4).any(|brand| names.iter().any(|name| brand == *name));
    let main = brands.get(..4).unwrap_or_default();
    if is(&[b"avif", b"avis"]) {
        return Other::with("an AVIF picture", "save it as a JPEG");
    }
    if is(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif", b"mif1", b"mif2", b"msf1"]) {
        return Other::with(
            "a HEIC picture, as an iPhone takes them",
            "set its camera to \u{201c}most compatible\u{201d}, or save it as a JPEG",
        );
    }
    match main {
        b"crx " => Other::with("a raw picture of a Canon camera (CR3)", "save it as a JPEG"),
        b"M4A " | b"M4B " | b"M4P " | b"F4A " => Other::new("a sound file (M4A)"),
        b"jp2 " | b"jpx " => Other::new("a JPEG 2000 picture"),
        _ => Other::new("a video"),
    }
}

fn riff(head: &[u8]) -> Other {
    match head.get(8..12).unwrap_or_default() {
        b"WEBP" => Other::with("a WebP picture", "save it as a JPEG or PNG"),
        b"AVI " => Other::new("a video (AVI)"),
        b"WAVE" => Other::new("a sound file (WAV)"),
        b"ACON" => Other::new("an animated cursor"),
        kind if kind[..kind.len().min(3)].eq_ignore_ascii_case(b"CDR") => {
            Other::with("a CorelDRAW drawing", "export it as a JPEG or PNG")
        }
        _ => Other::new("a sound or video file"),
    }
}

/// TGA has no magic number: the numbers of its header must fit together. A cursor (`00 00 02 00`) counts its pictures
/// where an uncompressed TGA without a colour map has zeros.
fn is_targa(head: &[u8]) -> bool {
    let Some(header) = head.first_chunk::<18>() else {
        return false;
    };
    let [_, map, kind, map_spec @ .., _, _, _, _, w0, w1, h0, h1, depth, flags] = header;
    let mapped = *map == 1;
    let no_map = map_spec.iter().all(|byte| *byte == 0);
    let kinds: &[u8] = if mapped { &[1, 9] } else { &[2, 3, 10, 11] };
    let map_fits = if mapped { matches!(map_spec[4], 15 | 16 | 24 | 32) } else { *map == 0 && no_map };
    let size = u32::from(u16::from_le_bytes([*w0, *w1])) * u32::from(u16::from_le_bytes([*h0, *h1]));
    kinds.contains(kind)
        && map_fits
        && size > 0
        && matches!(depth, 1 | 8 | 15 | 16 | 24 | 32)
        && flags & 0xc0 == 0
}

fn is_bitmap(head: &[u8]) -> bool {
    let info_header = head.get(14).is_none_or(|size| matches!(size, 12 | 16 | 40 | 52 | 56 | 64 | 108 | 124));
    head.starts_with(b"BM") && info_header && contains(&head[..head.len().min(10)], b"\0")
}
