#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "test pictures are small"
)]

use std::io::{Cursor, Write};

use image::{DynamicImage, ImageFormat, RgbImage};
use proptest::prelude::*;

use super::*;
use crate::domain::image::Dimensions;

fn picture(format: Format) -> Vec<u8> {
    let image = RgbImage::from_fn(61, 47, |x, y| image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8]));
    let mut bytes = Cursor::new(Vec::new());
    let format = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Gif => ImageFormat::Gif,
    };
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

const ALL: [Format; 3] = [Format::Jpeg, Format::Png, Format::Gif];

fn rules(check: Check) -> Images {
    Images { max_per_brand: 10, max_bytes: 1 << 20, max_pixels: 1 << 20, check, mismatch: Mismatch::Correct }
}

fn inspect_with(rules: Images, bytes: &[u8], name: &str) -> Result<Picture, Flaw> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    Inspector::new(rules).inspect(&file, Path::new(name)).unwrap().unwrap().result
}

fn inspect(bytes: &[u8]) -> Result<Picture, Flaw> {
    inspect_with(rules(Check::Decode), bytes, "x")
}

fn walk(bytes: &[u8], format: Format, portion: usize) -> Result<Dimensions, Flaw> {
    let mut walk = Walk::new(format);
    bytes.chunks(portion.max(1)).try_for_each(|part| walk.feed(part))?;
    walk.finish()
}

#[test]
fn sound_pictures_pass_with_their_size_and_checksums() {
    for format in ALL {
        for check in [Check::Decode, Check::Structure] {
            let picture = inspect_with(rules(check), &picture(format), "x").unwrap();
            assert_eq!(picture.format, format);
            assert_eq!(picture.dimensions, Dimensions { width: 61, height: 47 });
        }
    }
}

#[test]
fn checksums_are_those_of_the_published_vectors() {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("../../../tests/fixtures/vectors/checksums.json")).unwrap();
    assert!(!cases.is_empty());
    let mut compared = 0;
    for case in cases {
        let Some(text) = case["data_utf8"].as_str() else {
            continue;
        };
        let mut hashes = tee::Hashes::new();
        text.as_bytes().chunks(3).for_each(|part| hashes.update(part));
        let digests = hashes.finish();
        assert_eq!(digests.crc64.to_string(), case["crc64ecma"].as_str().unwrap(), "{}", case["name"]);
        assert_eq!(digests.md5, case["content_md5"].as_str().unwrap(), "{}", case["name"]);
        compared += 1;
    }
    assert!(compared > 2, "{compared}");
}

#[test]
fn bytes_after_the_end_are_normal() {
    for format in ALL {
        let mut bytes = picture(format);
        bytes.extend_from_slice(&[0; 1000]);
        inspect(&bytes).unwrap();
    }
}

#[test]
fn a_cut_file_is_truncated_and_not_merely_damaged() {
    for format in ALL {
        let bytes = picture(format);
        for keep in [bytes.len() / 10, bytes.len() / 2, bytes.len() - 4, bytes.len() - 1] {
            for check in [Check::Decode, Check::Structure] {
                let result = inspect_with(rules(check), &bytes[..keep], "x");
                assert!(matches!(result, Err(Flaw::Truncated(_))), "{format} {keep}: {result:?}");
            }
        }
    }
    assert!(matches!(inspect(b""), Err(Flaw::Truncated(_))));
}

#[test]
fn a_jpeg_with_a_zeroed_tail_is_not_whole() {
    let mut bytes = picture(Format::Jpeg);
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0);
    assert!(matches!(inspect(&bytes), Err(Flaw::Truncated(_))));
}

#[test]
fn a_wrong_checksum_in_a_png_is_damage() {
    let mut bytes = picture(Format::Png);
    let at = bytes.len() - 1;
    bytes[at] ^= 1;
    assert_eq!(inspect(&bytes), Err(Flaw::Damaged("the checksum of its IEND chunk is wrong".into())));
}

#[test]
fn broken_pixels_are_found_by_decoding() {
    let mut bytes = picture(Format::Gif);
    let at = bytes.len() / 2;
    bytes[at..at + 40].fill(0xff);
    assert!(matches!(inspect(&bytes), Err(Flaw::Damaged(_) | Flaw::Truncated(_))));
}

#[test]
fn a_decompression_bomb_is_told_by_its_header() {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend_from_slice(&[0, 0, 0x75, 0x30, 0, 0, 0x75, 0x30, 8, 2, 0, 0, 0]);
    let crc = crc32fast::hash(&png[12..]).to_be_bytes();
    png.extend_from_slice(&crc);
    png.extend_from_slice(&[0; 64]);
    assert_eq!(inspect(&png), Err(Flaw::TooManyPixels(Dimensions { width: 30000, height: 30000 }, 1 << 20)));
}

#[test]
fn a_file_over_the_limit_is_not_read() {
    let bytes = vec![0; (1 << 20) + 1];
    assert_eq!(inspect(&bytes), Err(Flaw::TooLarge((1 << 20) + 1, 1 << 20)));
}

#[test]
fn a_wrong_suffix_is_corrected_or_rejected() {
    let bytes = picture(Format::Jpeg);
    assert_eq!(inspect_with(rules(Check::Decode), &bytes, "a.png").unwrap().format, Format::Jpeg);
    let strict = Images { mismatch: Mismatch::Reject, ..rules(Check::Decode) };
    for right in ["a.jpg", "a.JPEG", "a.jpe"] {
        inspect_with(strict.clone(), &bytes, right).unwrap();
    }
    for wrong in ["a.png", "a", "a.txt"] {
        let flaw = inspect_with(strict.clone(), &bytes, wrong).unwrap_err();
        assert!(matches!(flaw, Flaw::Mismatch(..)), "{flaw}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn portions_make_no_difference(portion in 1usize..200, cut in 0.0f64..1.0, which in 0usize..3) {
        let format = ALL[which];
        let bytes = picture(format);
        let cut = (bytes.len() as f64 * cut) as usize;
        prop_assert_eq!(walk(&bytes[..cut], format, portion), walk(&bytes[..cut], format, usize::MAX));
        prop_assert!(walk(&bytes[..cut], format, portion).is_err(), "a proper beginning is never whole");
        prop_assert!(walk(&bytes, format, portion).is_ok());
    }

    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, which in 0usize..3, at in 0usize..64, portion in 1usize..9) {
        let format = ALL[which];
        let good = picture(format);
        let mut mixed = good[..at.min(good.len())].to_vec();
        mixed.append(&mut bytes);
        let _ = (walk(&mixed, format, portion), inspect(&mixed));
    }

    #[test]
    fn a_flipped_byte_never_panics(at in 0.0f64..1.0, to: u8, which in 0usize..3) {
        let mut bytes = picture(ALL[which]);
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] = to;
        let _ = inspect(&bytes);
    }
}
