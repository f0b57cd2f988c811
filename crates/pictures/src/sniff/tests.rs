use super::*;

fn name(head: &[u8]) -> String {
    sniff(head).unwrap_err().to_string()
}

#[test]
fn things_are_named_as_what_they_are() {
    let gbk = b"\xd5\xe2\xb2\xbb\xca\xc7\xcd\xbc\xc6\xac"; // 这不是图片
    let table: &[(&[u8], &str)] = &[
        (b"RIFF\x10\0\0\0WEBPVP8 ", "a WebP picture"),
        (b"RIFF\x10\0\0\0CDRCvrsn", "a CorelDRAW drawing"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC picture"),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif", "an AVIF picture"),
        (b"\0\0\0\x18ftypheif\0\0\0\0mif1", "a HEIC picture"),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom", "a raw picture of a Canon camera"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0M4A mp42", "a sound file"),
        (b"\0\0\0\x18ftypisom\0\0\0\0isom", "a video"),
        (b"\0\0\0\x08wide\0\0\0\x08mdat", "a video"),
        (b"%PDF-1.7", "a PDF document"),
        (b"\xef\xbb\xbf\r\n%PDF-1.7", "a PDF document"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "an SVG drawing"),
        (b"<html><body><svg/></body>", "a web page"),
        (b"<!-- hello --><html>", "a web page"),
        (b"<!doctype HTML>\n\xd5\xe2\xb2\xbb", "a web page"),
        (b"BM6\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0", "a BMP picture"),
        (b"II*\0\x08", "a TIFF picture"),
        (b"II+\0\x08\0\0\0", "a TIFF picture (BigTIFF)"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an EPS"),
        (b"\xc5\xd0\xd3\xc6\x20\0\0\0", "an EPS"),
        (b"\xff\x4f\xff\x51\0\x29", "a JPEG 2000 picture"),
        (b"\0\0\x02\0\0\0\0\0\0\0\0\0\x10\0\x10\0\x18\x20", "a TGA picture"),
        (b"\0\0\x02\0\x01\0\x20\x20\0\0\0\0\0\0\x30\x01\0\0", "a cursor"),
        (b"\x4c\0\0\0\x01\x14\x02\0\0\0\0\0\xc0", "a Windows shortcut"),
        ("这不是图片".as_bytes(), "a text file"),
        (gbk, "a text file"),
        (
            b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n\xff\xd8\xff\xe0",
            "a saved answer of a web server",
        ),
        (b"\xef\xbb\xbf\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG with other bytes before it"),
        (b"\xd8\xff\xe0\0\x10JFIF", "a JPEG that has lost its first bytes"),
        (b"/9j/4AAQSkZJRgABAQ", "a JPEG as base64 text"),
        ("\u{fffd}\u{fffd}\u{fffd}\u{fffd}\0\u{10}JFIF".as_bytes(), "a JPEG ruined by a text conversion"),
        (b"\xae\x89\xae\xb1\x51\x41\x1b\x17\x18\x17", "WeChat's encrypted copy"),
        (b"\x01\x02\xff\xfe\x80", "a file of a kind that is not known here"),
    ];
    for (head, expected) in table {
        let said = name(head);
        assert!(said.starts_with(&format!("this is {expected}")), "{said}, not {expected}");
        assert!(!said.contains('\n') && !said.contains('"'), "{said}");
    }
}

#[test]
fn a_head_that_is_not_there_yet_is_waited_for() {
    for head in [&b""[..], b"\xff", b"\xff\xd8", b"GIF8"] {
        assert!(matches!(sniff(head), Err(Flaw::Truncated(_))), "{head:?}");
    }
}

#[test]
fn zeros_are_counted() {
    assert_eq!(zeros(4000, 4000).to_string(), "the file ends too early: it holds nothing but zeros");
    assert_eq!(zeros(512, 4000).to_string(), "the picture is damaged: its first 512 bytes are zeros");
}

proptest::proptest! {
    #[test]
    fn no_bytes_panic(head: Vec<u8>) {
        let _ = sniff(&head);
    }
}
