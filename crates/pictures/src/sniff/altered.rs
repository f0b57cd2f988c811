//! Pictures that were altered on their way: by a chat program, a text conversion, a web server.

use super::{Other, contains, starts_with_any};

const BAD_CHARACTER: &[u8] = "\u{fffd}".as_bytes();
const SEND_AGAIN: &str = "copy the original again, in binary mode";

/// A picture whose first bytes show what happened to it.
pub(super) fn picture(head: &[u8]) -> Option<Other> {
    if head.starts_with(b"HTTP/1.") {
        return Some(Other::with("a saved answer of a web server", "save the picture itself"));
    }
    if is_xored(head) || head.starts_with(b"\x07\x08V1\x08\x07") || head.starts_with(b"\x07\x08V2\x08\x07") {
        return Some(Other::with(
            "WeChat's encrypted copy of a picture (.dat)",
            "save the picture from the chat",
        ));
    }
    if is_converted(head) {
        let is_png = contains(&head[..head.len().min(8)], b"PNG");
        let name =
            if is_png { "a PNG ruined by a text conversion" } else { "a JPEG ruined by a text conversion" };
        return Some(Other::with(name, SEND_AGAIN));
    }
    if starts_with_any(head, &[b"/9j/", b"iVBORw0KGgo", b"R0lGODlh", b"R0lGODdh", b"data:image/"]) {
        let name = if starts_with_any(head, &[b"/9j/", b"data:image/jp"]) {
            "a JPEG as base64 text"
        } else {
            "a picture as base64 text"
        };
        return Some(Other::with(name, "save the picture itself"));
    }
    if lost_its_start(head) {
        return Some(Other::with("a JPEG that has lost its first bytes", "copy the original again"));
    }
    None
}

/// A picture that begins later in the file.
pub(super) fn later(head: &[u8]) -> Option<Other> {
    const ADVICE: &str = "take away what is before it, or save the picture again";
    let jpeg = memchr::memmem::find_iter(head, b"\xff\xd8\xff").any(|at| {
        head.get(at + 3).is_some_and(|code| matches!(code, 0xc0..=0xc4 | 0xdb | 0xe0..=0xef | 0xfe))
    });
    if jpeg {
        return Some(Other::with("a JPEG with other bytes before it", ADVICE));
    }
    let png_or_gif = contains(head, b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR") || contains(head, b"GIF89a");
    png_or_gif.then_some(Other::with("a picture with other bytes before it", ADVICE))
}

/// The same byte was added to each: `WeChat`'s cache on a PC.
fn is_xored(head: &[u8]) -> bool {
    const STARTS: [&[u8]; 3] = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8"];
    STARTS.iter().any(|start| {
        let Some(key) = head.first().map(|first| first ^ start[0]).filter(|key| !matches!(key, 0 | 0x80))
        else {
            return false;
        };
        head.len() >= 8
            && start.iter().zip(head).all(|(right, byte)| right ^ key == *byte)
            && plausible(head, key)
    })
}

/// The byte after the start of a JPEG is a marker that comes first.
fn plausible(head: &[u8], key: u8) -> bool {
    head[0] ^ key != 0xff || matches!(head[3] ^ key, 0xdb | 0xe0..=0xef | 0xfe | 0xc0 | 0xc4)
}

/// Every byte that is no character was replaced, or became two.
fn is_converted(head: &[u8]) -> bool {
    let replaced = BAD_CHARACTER.repeat(3);
    head.starts_with(&replaced)
        || head.starts_with(&[BAD_CHARACTER, b"PNG"].concat())
        || starts_with_any(head, &["ÿØÿ".as_bytes(), "\u{89}PNG".as_bytes(), b"?PNG\r\n", b"?PNG\n"])
        || (head.starts_with(b"???")
            && starts_with_any(head.get(6..).unwrap_or_default(), &[b"JFIF", b"Exif"]))
}

fn lost_its_start(head: &[u8]) -> bool {
    let named = |at: usize| starts_with_any(head.get(at..).unwrap_or_default(), &[b"JFIF", b"Exif"]);
    (head.starts_with(b"\xd8\xff") && (named(5) || head.get(2) == Some(&0xdb)))
        || (head.starts_with(b"\xff\xe0") || head.starts_with(b"\xff\xe1")) && named(4)
        || head.starts_with(b"PNG\r\n\x1a\n")
}
