#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "test pictures are small"
)]

mod costly;

use std::sync::OnceLock;

use image::codecs::jpeg::JpegEncoder;
use image::{Rgb, RgbImage};
use proptest::prelude::*;

use crate::{Budget, Depth, Dimensions, Flaw, Format, Walk, Whole};

const SIZE: Dimensions = Dimensions { width: 400, height: 300 };

/// A baseline picture with something in every block.
fn baseline() -> Vec<u8> {
    static PICTURE: OnceLock<Vec<u8>> = OnceLock::new();
    PICTURE.get_or_init(draw).clone()
}

fn draw() -> Vec<u8> {
    let mut seed = 7u32;
    let picture = RgbImage::from_fn(SIZE.width, SIZE.height, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = (seed >> 27) as u8;
        Rgb([(x * 3) as u8 ^ grain, (y * 5) as u8 ^ grain, (x * y / 40) as u8])
    });
    let mut bytes = Vec::new();
    JpegEncoder::new_with_quality(&mut bytes, 85).encode_image(&picture).unwrap();
    bytes
}

/// A picture whose blocks take a few bits each.
fn grey() -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = RgbImage::from_pixel(SIZE.width, SIZE.height, Rgb([127; 3]));
    JpegEncoder::new(&mut bytes).encode_image(&picture).unwrap();
    bytes
}

fn walk_in_parts(bytes: &[u8], part: usize, depth: Depth) -> Result<Whole, Flaw> {
    let mut walk = Walk::new(Format::Jpeg, depth, 1 << 30, &Budget::new(96 << 20));
    bytes.chunks(part.max(1)).try_for_each(|part| walk.feed(part))?;
    walk.finish()
}

fn walk(bytes: &[u8]) -> Result<Whole, Flaw> {
    walk_in_parts(bytes, usize::MAX, Depth::Decode)
}

/// Where the coded data of the only scan begins.
fn scan_start(bytes: &[u8]) -> usize {
    let marker = memchr::memmem::rfind(bytes, &[0xff, 0xda]).unwrap();
    marker + 2 + usize::from(u16::from_be_bytes([bytes[marker + 2], bytes[marker + 3]]))
}

fn is_damaged(bytes: &[u8]) -> bool {
    matches!(walk(bytes), Err(Flaw::Damaged(_)))
}

#[test]
fn a_sound_picture_is_whole() {
    assert_eq!(walk(&baseline()), Ok(Whole { dimensions: SIZE, ends: true }));
}

#[test]
fn holes_and_lost_parts_are_found_wherever_they_are() {
    let sound = baseline();
    let (start, end) = (scan_start(&sound), sound.len() - 2);
    assert!(end - start > 6 * 4096, "{}", end - start);
    for at in (start + 100..end - 4200).step_by(1999) {
        let mut zeroed = sound.clone();
        zeroed[at..at + 4096].fill(0);
        assert!(is_damaged(&zeroed), "zeros at {at}");
        let mut missing = sound.clone();
        missing.drain(at..at + 4096);
        assert!(is_damaged(&missing), "missing at {at}");
        let mut cut = sound[..at].to_vec();
        assert!(matches!(walk(&cut), Err(Flaw::Truncated(_))), "cut at {at}");
        cut.extend([0xff, 0xd9]);
        assert!(is_damaged(&cut), "cut at {at}, with an end marker");
        let mut zeros_to_the_end = sound.clone();
        zeros_to_the_end[at..].fill(0);
        assert!(walk(&zeros_to_the_end).is_err(), "zeros from {at} on");
    }
}

#[test]
fn a_transfer_in_text_mode_is_found() {
    let sound = baseline();
    let lf_to_crlf: Vec<u8> =
        sound.iter().flat_map(|byte| if *byte == b'\n' { vec![b'\r', b'\n'] } else { vec![*byte] }).collect();
    assert!(lf_to_crlf.len() > sound.len());
    assert!(walk(&lf_to_crlf).is_err());
}

#[test]
fn bytes_that_are_no_part_of_the_picture_are_passed_over() {
    let sound = baseline();
    let (start, end) = (scan_start(&sound), sound.len() - 2);
    let with = |at: usize, bytes: &[u8]| [&sound[..at], bytes, &sound[at..]].concat();
    let scan_header = start - 14;
    for (what, bytes) in [
        ("after the end", with(sound.len(), &[0x55; 5000])),
        ("a few after the last block", with(end, &[0x12, 0x34, 0x56, 0x78])),
        ("zeros after the last block", with(end, &[0; 500])),
        ("fill bytes before the end marker", with(end, &[0xff; 40])),
        ("a restart marker after the last block", with(end, &[0xff, 0xd0])),
        ("junk between segments", with(scan_header, &[1, 2, 3, 4])),
        ("a comment that holds markers", with(2, &[0xff, 0xfe, 0, 8, 0xff, 0xc3, 0xff, 0xd9, 0xff, 0xda])),
        ("an application segment of impossible length", with(2, &[0xff, 0xe3, 0, 0])),
    ] {
        assert_eq!(walk(&bytes), Ok(Whole { dimensions: SIZE, ends: true }), "{what}");
    }
}

#[test]
fn without_its_end_marker_a_picture_is_whole_and_may_go_on() {
    let sound = baseline();
    let no_end = &sound[..sound.len() - 2];
    let film: Vec<u8> = (0..9000u32).map(|n| (n * 37 % 251) as u8).collect();
    let marker_in_film = [&film[..], &[0xff, 0xc3, 0, 11, 8, 0, 16, 0, 16, 1], &film].concat();
    for trailer in [vec![], vec![0xff], film, marker_in_film] {
        let bytes = [no_end, &trailer].concat();
        assert_eq!(walk(&bytes), Ok(Whole { dimensions: SIZE, ends: false }));
        let structure = walk_in_parts(&bytes, usize::MAX, Depth::Structure);
        assert!(matches!(structure, Err(Flaw::Truncated(_))), "headers alone cannot tell");
    }
}

#[test]
fn components_may_share_their_id() {
    let mut bytes = baseline();
    let sof = memchr::memmem::find(&bytes, &[0xff, 0xc0]).unwrap();
    let start = scan_start(&bytes);
    for component in 0..3 {
        bytes[sof + 10 + 3 * component] = 1;
        bytes[start - 9 + 2 * component] = 1;
    }
    assert!(walk(&bytes).is_ok());
}

/// A picture of grey blocks, so many in each interval between restart markers.
fn with_restarts() -> Vec<u8> {
    // an interval of one unit, and its data over and over again
    let dri = [0xff, 0xdd, 0, 4, 0, 1];
    let grey = image::GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * 30 + y) as u8]));
    let mut unit = Vec::new();
    JpegEncoder::new_with_quality(&mut unit, 85).encode_image(&grey).unwrap();
    let header = scan_start(&unit);
    let data = unit[header..unit.len() - 2].to_vec();
    let sof = memchr::memmem::find(&unit, &[0xff, 0xc0]).unwrap();
    // 8 by 1 blocks
    unit[sof + 7..sof + 9].copy_from_slice(&[0, 64]);
    let intervals: Vec<u8> = (0..8u8)
        .flat_map(|number| {
            [data.clone(), if number < 7 { vec![0xff, 0xd0 + number] } else { vec![] }].concat()
        })
        .collect();
    [&unit[..sof], &dri, &unit[sof..header], &intervals, &[0xff, 0xd9]].concat()
}

#[test]
fn intervals_that_are_left_are_picture_data() {
    let sound = with_restarts();
    assert!(walk(&sound).is_ok(), "{:?}", walk(&sound));
    let sof = memchr::memmem::find(&sound, &[0xff, 0xc0]).unwrap();
    let with_width = |width: u8| {
        let mut bytes = sound.clone();
        bytes[sof + 8] = width;
        walk(&bytes)
    };
    assert!(matches!(with_width(48), Err(Flaw::Damaged(_))), "{:?}", with_width(48));
    assert!(with_width(72).is_err());
    let marker_at_the_end = [&sound[..sound.len() - 2], &[0xff, 0xd7, 0xff, 0xd9]].concat();
    assert!(walk(&marker_at_the_end).is_ok());
}

#[test]
fn tables_that_were_never_defined_are_missed() {
    let sound = baseline();
    let mut no_quantization = sound.clone();
    let dqt = memchr::memmem::find(&sound, &[0xff, 0xdb]).unwrap();
    let length = usize::from(u16::from_be_bytes([sound[dqt + 2], sound[dqt + 3]])) + 2;
    no_quantization.drain(dqt..dqt + length);
    assert!(is_damaged(&no_quantization));
    let start = scan_start(&sound);
    let mut other_table = sound.clone();
    // the tables of the first component
    other_table[start - 8 - 1] = 0x33;
    assert!(walk(&other_table).is_err());
}

#[test]
fn a_frame_header_that_browsers_do_not_show_is_named() {
    let sound = baseline();
    let sof = memchr::memmem::find(&sound, &[0xff, 0xc0]).unwrap();
    let with = |at: usize, byte: &[u8]| {
        let mut bytes = sound.clone();
        bytes[sof + at..sof + at + byte.len()].copy_from_slice(byte);
        walk(&bytes).unwrap_err()
    };
    for (at, bytes, reason) in [
        (1, &[0xc3][..], "lossless"),
        (1, &[0xc9], "arithmetic"),
        (1, &[0xf7], "JPEG-LS"),
        (4, &[12], "12 bits"),
        (5, &[0, 0], "leaves the height open"),
        (5, &[0xff, 0xff], "leaves the height open"),
        (5, &[0xff, 0xf0], "over 65500"),
    ] {
        let flaw = with(at, bytes);
        assert!(matches!(&flaw, Flaw::Unsupported(text) if text.contains(reason)), "{reason}: {flaw}");
    }
    assert!(matches!(with(7, &[0, 0]), Flaw::Damaged(_)));
}

/// The percentage is of whole units, however many of their bytes are at hand.
#[test]
fn a_cut_is_told_alike_in_portions_of_any_size() {
    let sound = baseline();
    let start = scan_start(&sound);
    for cut in (start + 600..start + 3000).step_by(37) {
        let bytes = [&sound[..cut], &[0xff, 0xd9], &[0; 9000]].concat();
        let whole = walk(&bytes);
        for part in [64, 500, 5000] {
            assert_eq!(walk_in_parts(&bytes, part, Depth::Decode), whole, "cut at {cut}, {part} at a time");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn portions_make_no_difference(part in 1usize..3000, keep in 0.0f64..1.0, at in 0.0f64..1.0, to: u8) {
        let mut bytes = baseline();
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] = to;
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        for depth in [Depth::Decode, Depth::Structure] {
            prop_assert_eq!(walk_in_parts(&bytes, part, depth), walk_in_parts(&bytes, usize::MAX, depth));
        }
    }

    /// Before a byte of data there may be fill of any length, also where data is read ahead of the last block.
    #[test]
    fn fill_makes_no_difference_in_portions_of_any_size(
        part in 1usize..400, fills in prop::collection::vec(1usize..300, 0..9), back in 2usize..9
    ) {
        let mut bytes = grey();
        let rest = bytes.split_off(bytes.len() - back);
        for fill in fills {
            bytes.extend([vec![0xff; fill], vec![0]].concat());
        }
        bytes.extend(rest);
        prop_assert_eq!(
            walk_in_parts(&bytes, part, Depth::Decode).is_ok(),
            walk_in_parts(&bytes, usize::MAX, Depth::Decode).is_ok()
        );
    }

    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, keep in 0usize..700) {
        let mut mixed = baseline()[..keep].to_vec();
        mixed.append(&mut bytes);
        let _ = walk_in_parts(&mixed, 7, Depth::Decode);
    }
}

/// A progressive picture of one grey block whose band of coefficients comes bit by bit, so many times over.
fn progression(times: usize) -> Vec<u8> {
    let segment = |code: u8, content: &[u8]| {
        let length = u16::try_from(content.len() + 2).unwrap().to_be_bytes();
        [&[0xff, code][..], &length, content].concat()
    };
    // one code each, of one bit: no difference, and the end of a block
    let table = |class: u8| segment(0xc4, &[&[class, 1][..], &[0; 16]].concat());
    let scan =
        |first: u8, last: u8, bits: u8| [segment(0xda, &[1, 1, 0, first, last, bits]), vec![0x7f]].concat();
    let mut bytes = vec![0xff, 0xd8];
    bytes.extend(segment(0xdb, &[&[0][..], &[1; 64]].concat()));
    bytes.extend(segment(0xc2, &[8, 0, 8, 0, 8, 1, 1, 0x11, 0]));
    bytes.extend([table(0), table(0x10), scan(0, 0, 0)].concat());
    for _ in 0..times {
        bytes.extend(scan(1, 62, 13));
        (0..13).rev().for_each(|left| bytes.extend(scan(1, 62, (left + 1) << 4 | left)));
    }
    bytes.extend(scan(63, 63, 0));
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// Each scan is a few bytes, and goes over all blocks: twenty megabytes of them took hours.
#[test]
fn a_picture_in_very_many_scans_is_refused() {
    assert_eq!(walk(&progression(7)).map(|whole| whole.ends), Ok(true));
    let flaw = walk(&progression(8)).unwrap_err();
    assert!(matches!(&flaw, Flaw::Unsupported(text) if text.contains("more than 100 parts")), "{flaw}");
    assert_eq!(walk_in_parts(&progression(8), usize::MAX, Depth::Structure), Err(flaw));
}
