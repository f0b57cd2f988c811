//! What a file is, by its first bytes.

use super::walk::Flaw;
use crate::domain::image::Format;

/// How many bytes are looked at.
pub(super) const HEAD: usize = 512;

/// Tells the format, or names what it is instead.
pub(super) fn sniff(head: &[u8]) -> Result<Format, Flaw> {
    const PICTURES: [(&[u8], Format); 4] = [
        (b"\xff\xd8\xff", Format::Jpeg),
        (b"\x89PNG", Format::Png),
        (b"GIF87a", Format::Gif),
        (b"GIF89a", Format::Gif),
    ];
    if head.is_empty() {
        return Err(Flaw::Truncated("it is empty".into()));
    }
    if let Some((_, format)) = PICTURES.iter().find(|(magic, _)| head.starts_with(magic)) {
        return Ok(*format);
    }
    if PICTURES.iter().any(|(magic, _)| magic.starts_with(head)) || head.iter().all(|byte| *byte == 0) {
        return Err(Flaw::Truncated("it holds nothing but zeros, or its first few bytes".into()));
    }
    Err(Flaw::Unsupported(format!("this is {}, not a JPG, PNG or GIF", name(head))))
}

fn name(head: &[u8]) -> &'static str {
    const OTHERS: [(usize, &[u8], &str); 22] = [
        (8, b"WEBP", "a WebP picture"),
        (0, b"BM", "a BMP picture"),
        (0, b"II*\0", "a TIFF picture"),
        (0, b"MM\0*", "a TIFF picture"),
        (0, b"%PDF", "a PDF document"),
        (0, b"8BPS", "a Photoshop file"),
        (0, b"\0\0\x01\0", "an icon"),
        (0, b"\xff\x0a", "a JPEG XL picture"),
        (0, b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
        (0, b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
        (0, b"PK\x03\x04", "a ZIP archive or an Office document"),
        (0, b"Rar!", "a RAR archive"),
        (0, b"7z\xbc\xaf", "a 7-Zip archive"),
        (0, b"\x1f\x8b", "a gzip archive"),
        (0, b"\xd0\xcf\x11\xe0", "an old Office document"),
        (0, b"MZ", "a Windows program"),
        (0, b"\x7fELF", "a program"),
        (0, b"RIFF", "a sound or video file"),
        (0, b"\x1aE\xdf\xa3", "a video"),
        (0, b"ID3", "a sound file"),
        (0, b"{\\rtf", "an RTF document"),
        (0, b"\0\0\x02\0", "a cursor"),
    ];
    let at = |offset: usize, magic: &[u8]| head.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if at(4, b"ftyp") {
        return base_media(head.get(8..12).unwrap_or_default());
    }
    if let Some((_, _, name)) = OTHERS.iter().find(|(offset, magic, _)| at(*offset, magic)) {
        return name;
    }
    text(head).unwrap_or("of a kind that is not known here")
}

/// ISO base media files tell themselves apart by their brand.
fn base_media(brand: &[u8]) -> &'static str {
    match brand {
        b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"msf1" => {
            "a HEIC picture (an iPhone's; set its camera to \"most compatible\")"
        }
        b"avif" | b"avis" => "an AVIF picture",
        _ => "a video",
    }
}

fn text(head: &[u8]) -> Option<&'static str> {
    let start = match std::str::from_utf8(head) {
        Ok(text) => text,
        // a character may be cut at the end of the head
        Err(error) if error.valid_up_to() + 4 > head.len() => {
            std::str::from_utf8(&head[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    if start.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let start = start.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']).to_ascii_lowercase();
    Some(match start.as_str() {
        svg if svg.starts_with("<svg") || svg.contains("<svg") => "an SVG drawing",
        html if html.starts_with("<!doctype html") || html.starts_with("<html") => {
            "a web page (a failed download?)"
        }
        xml if xml.starts_with("<?xml") => "an XML file",
        _ => "a text file",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_named_as_what_they_are() {
        let table: [(&[u8], &str); 8] = [
            (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP picture"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
            (b"%PDF-1.7", "a PDF document"),
            (b"<?xml version='1.0'?><svg xmlns='x'/>", "an SVG drawing"),
            (b"BM6\0\0\0", "a BMP picture"),
            (b"II*\0\x08", "a TIFF picture"),
            ("这不是图片".as_bytes(), "a text file"),
            (b"\x01\x02\xff\xfe\x80", "of a kind that is not known here"),
        ];
        for (head, name) in table {
            let flaw = sniff(head).unwrap_err().to_string();
            assert!(flaw.starts_with(&format!("this is {name}")), "{flaw}");
        }
    }

    #[test]
    fn a_head_that_is_not_there_yet_is_waited_for() {
        for head in [&b""[..], b"\xff", b"\xff\xd8", b"GIF8", &[0; 512]] {
            assert!(matches!(sniff(head), Err(Flaw::Truncated(_))), "{head:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_panic(head: Vec<u8>) {
            let _ = sniff(&head);
        }
    }
}
