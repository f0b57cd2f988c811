//! Text, in UTF-8, UTF-16 or GBK: web pages, drawings in XML, and other texts.

use super::{Other, contains, starts_with_any};

/// What a web page begins with (WHATWG MIME Sniffing 7.1), in lower case.
const HTML: &[&[u8]] = &[
    b"<!doctype html",
    b"<html",
    b"<head",
    b"<script",
    b"<iframe",
    b"<h1",
    b"<div",
    b"<font",
    b"<table",
    b"<a ",
    b"<style",
    b"<title",
    b"<b>",
    b"<body",
    b"<br",
    b"<p>",
    b"<!--",
    b"<meta",
    b"<form",
    b"<center",
];

pub(super) fn name(head: &[u8]) -> Option<Other> {
    if starts_with_any(head, &[b"\xff\xfe", b"\xfe\xff"]) {
        return Some(Other::new("a text file (UTF-16)"));
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if !is_text(text) {
        return None;
    }
    let start = text.trim_ascii_start().to_ascii_lowercase();
    let is_page = contains(&start, b"<html") || contains(&start, b"<!doctype html");
    Some(match start.as_slice() {
        svg if svg.starts_with(b"<svg") => drawing(),
        xml if contains(xml, b"<svg")
            && starts_with_any(xml, &[b"<?xml", b"<!--", b"<!doctype svg"])
            && !is_page =>
        {
            drawing()
        }
        html if starts_with_any(html, HTML) || (html.starts_with(b"<?xml") && is_page) => {
            Other::with("a web page, as after a failed download", "save the picture itself")
        }
        xml if xml.starts_with(b"<?xml") => Other::new("an XML file"),
        json if starts_with_any(json, &[b"{\"", b"{\n", b"{}", b"[{"]) => Other::new("a text file (JSON)"),
        xpm if starts_with_any(xpm, &[b"/* xpm */", b"#define"]) => {
            Other::new("a picture as program text (XPM, XBM)")
        }
        _ => Other::new("a text file"),
    })
}

fn drawing() -> Other {
    Other::with("an SVG drawing", "export it as a JPEG or PNG")
}

/// No control characters; UTF-8, or a legacy encoding such as GBK.
fn is_text(bytes: &[u8]) -> bool {
    const ESCAPE: u8 = 0x1b;
    let control =
        |byte: &u8| (*byte < 0x20 && !matches!(byte, 0x08..=0x0d) && *byte != ESCAPE) || *byte == 0x7f;
    !bytes.is_empty() && !bytes.iter().any(control) && (is_utf8(bytes) || is_gbk(bytes))
}

fn is_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        // a character may be cut at the end of the head
        Err(error) => error.error_len().is_none(),
    }
}

/// GB 18030: characters of one, two and four bytes.
fn is_gbk(mut bytes: &[u8]) -> bool {
    loop {
        bytes = match bytes {
            [] | [0x81..=0xfe] | [0x81..=0xfe, 0x30..=0x39] | [0x81..=0xfe, 0x30..=0x39, 0x81..=0xfe] => {
                return true;
            }
            [0..=0x80, rest @ ..]
            | [0x81..=0xfe, 0x40..=0x7e | 0x80..=0xfe, rest @ ..]
            | [0x81..=0xfe, 0x30..=0x39, 0x81..=0xfe, 0x30..=0x39, rest @ ..] => rest,
            _ => return false,
        };
    }
}
