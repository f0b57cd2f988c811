//! PNG and GIF: what is broken is found, what browsers pass over is passed over.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    reason = "test pictures are small"
)]

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, RgbImage};
use pictures::{Budget, Depth, Dimensions, Flaw, Format, Walk, Whole};
use proptest::prelude::*;

const SIZE: Dimensions = Dimensions { width: 61, height: 47 };
const MAX_PIXELS: u64 = 1 << 20;

fn picture(format: Format) -> Vec<u8> {
    let picture = RgbImage::from_fn(SIZE.width, SIZE.height, |x, y| {
        image::Rgb([(x * 7) as u8, (y * 5) as u8, (x * y) as u8])
    });
    let mut bytes = Cursor::new(Vec::new());
    let format = match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::Gif => ImageFormat::Gif,
    };
    DynamicImage::ImageRgb8(picture).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn walk_in_parts(bytes: &[u8], format: Format, depth: Depth, part: usize) -> Result<Whole, Flaw> {
    let mut walk = Walk::new(format, depth, MAX_PIXELS, &Budget::new(96 << 20));
    bytes.chunks(part.max(1)).try_for_each(|part| walk.feed(part))?;
    walk.finish()
}

fn walk(bytes: &[u8], format: Format) -> Result<Whole, Flaw> {
    walk_in_parts(bytes, format, Depth::Decode, usize::MAX)
}

fn chunk(kind: [u8; 4], content: &[u8]) -> Vec<u8> {
    let checked = [&kind[..], content].concat();
    let length = (content.len() as u32).to_be_bytes();
    [&length[..], &checked, &crc32fast::hash(&checked).to_be_bytes()].concat()
}

type Chunks = Vec<([u8; 4], Vec<u8>)>;

/// The chunks of a PNG: kind and content.
fn chunks(png: &[u8]) -> Chunks {
    let (mut at, mut found) = (8, Vec::new());
    while at < png.len() {
        let length = u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        found.push((png[at + 4..at + 8].try_into().unwrap(), png[at + 8..at + 8 + length].to_vec()));
        at += 12 + length;
    }
    found
}

fn png(chunks: &[([u8; 4], Vec<u8>)]) -> Vec<u8> {
    let written = chunks.iter().flat_map(|(kind, content)| chunk(*kind, content));
    b"\x89PNG\r\n\x1a\n".iter().copied().chain(written).collect()
}

type Alteration = &'static dyn Fn(&mut Chunks);

/// The chunks of a sound PNG, altered.
fn altered(alter: impl Fn(&mut Chunks)) -> Result<Whole, Flaw> {
    let mut parts = chunks(&picture(Format::Png));
    alter(&mut parts);
    walk(&png(&parts), Format::Png)
}

#[test]
fn sound_pictures_are_whole() {
    for format in [Format::Jpeg, Format::Png, Format::Gif] {
        for depth in [Depth::Decode, Depth::Structure] {
            let whole = walk_in_parts(&picture(format), format, depth, usize::MAX);
            assert_eq!(whole, Ok(Whole { dimensions: SIZE, ends: true }), "{format}");
        }
    }
}

#[test]
fn the_data_of_a_png_must_be_sound_though_its_checksums_are() {
    let broken = altered(|parts| {
        let data = &mut parts.iter_mut().find(|(kind, _)| kind == b"IDAT").unwrap().1;
        let middle = data.len() / 2;
        data[middle] ^= 0x10;
    });
    assert!(matches!(broken, Err(Flaw::Damaged(_))), "{broken:?}");
    // the header promises a row more
    let row_missing = altered(|parts| parts[0].1[7] += 1);
    assert_eq!(row_missing, Err(Flaw::Damaged("rows of the picture are missing".into())));
}

#[test]
fn chunks_of_a_png_must_fit_together() {
    let table: [(&str, Alteration, &str); 6] = [
        (
            "two palettes",
            &|parts| parts.splice(1..1, [(*b"PLTE", vec![0; 3]), (*b"PLTE", vec![0; 3])]).for_each(drop),
            "two palettes",
        ),
        ("an unknown chunk that is needed", &|parts| parts.insert(1, (*b"ABCD", vec![])), "no browser knows"),
        ("no data", &|parts| parts.retain(|(kind, _)| kind != b"IDAT"), "without any picture data"),
        ("another colour type", &|parts| parts[0].1[9] = 5, "makes no sense"),
        ("indexed without a palette", &|parts| parts[0].1[9] = 3, "palette (PLTE) is missing"),
        ("out of an app", &|parts| parts.insert(0, (*b"CgBI", vec![0; 4])), "CgBI"),
    ];
    for (what, alter, reason) in table {
        let flaw = altered(alter).unwrap_err().to_string();
        assert!(flaw.contains(reason), "{what}: {flaw}");
    }
}

#[test]
fn what_is_not_needed_of_a_png_is_passed_over() {
    let mut bytes = png(&{
        let mut parts = chunks(&picture(Format::Png));
        parts.insert(1, (*b"tEXt", b"Comment\0hello".to_vec()));
        parts
    });
    let text = bytes.windows(5).position(|part| part == b"hello").unwrap();
    bytes[text] ^= 1;
    assert_eq!(walk(&bytes, Format::Png), Ok(Whole { dimensions: SIZE, ends: true }));
}

/// A still picture made an animation of two equal frames.
fn animated(frames: u32, second: &dyn Fn(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    animation(frames, &[second])
}

/// A still picture made an animation; what becomes of its data in each frame after the first.
fn animation(promised: u32, others: &[&dyn Fn(Vec<u8>) -> Vec<u8>]) -> Vec<u8> {
    let parts = chunks(&picture(Format::Png));
    let data: Vec<u8> =
        parts.iter().filter(|(kind, _)| kind == b"IDAT").flat_map(|(_, data)| data.clone()).collect();
    let control = |number: u32| {
        let size = [SIZE.width, SIZE.height, 0, 0].map(u32::to_be_bytes).concat();
        [&number.to_be_bytes()[..], &size, &[0, 1, 0, 10, 0, 0]].concat()
    };
    let mut all = vec![
        parts[0].clone(),
        (*b"acTL", [promised.to_be_bytes(), [0; 4]].concat()),
        (*b"fcTL", control(0)),
        (*b"IDAT", data.clone()),
    ];
    for (number, other) in (1u32..).step_by(2).zip(others) {
        all.push((*b"fcTL", control(number)));
        all.push((*b"fdAT", [&(number + 1).to_be_bytes()[..], &other(data.clone())].concat()));
    }
    all.push((*b"IEND", vec![]));
    png(&all)
}

#[test]
fn every_frame_of_an_animated_png_counts() {
    assert!(walk(&animated(2, &|data| data), Format::Png).is_ok());
    let broken = animated(2, &|mut data| {
        data[60] ^= 0xff;
        data
    });
    assert!(walk(&broken, Format::Png).is_err());
    let short = animated(2, &|data| data[..data.len() / 2].to_vec());
    assert!(walk(&short, Format::Png).is_err());
    let missing = walk(&animated(3, &|data| data), Format::Png).unwrap_err().to_string();
    assert!(missing.contains("only 2 of the 3 frames"), "{missing}");
}

/// A frame of a few bytes may have as many pixels as a picture may: very many of them are not unpacked.
#[test]
fn frames_are_unpacked_up_to_a_limit() {
    let whole = |data: Vec<u8>| data;
    let broken = |mut data: Vec<u8>| {
        data[60] ^= 0xff;
        data
    };
    let fourth = animation(5, &[&whole, &whole, &broken, &whole]);
    let fifth = animation(5, &[&whole, &whole, &whole, &broken]);
    let walk = |bytes: &[u8], max_pixels| {
        let mut walk = Walk::new(Format::Png, Depth::Decode, max_pixels, &Budget::new(96 << 20));
        walk.feed(bytes)?;
        walk.finish()
    };
    assert!(walk(&fourth, SIZE.pixels()).is_err());
    assert!(walk(&fifth, SIZE.pixels()).is_ok(), "four times the pixels of the largest picture are unpacked");
    assert!(walk(&fifth, SIZE.pixels() * 2).is_err());
}

#[test]
fn an_interlaced_png_has_seven_passes() {
    // 3×3 pixels of one byte: passes without pixels have no rows
    let header = [&3u32.to_be_bytes()[..], &3u32.to_be_bytes(), &[8, 0, 0, 0, 1]].concat();
    let rows: [usize; 6] = [1, 1, 2, 1, 1, 3];
    let raw: Vec<u8> =
        rows.iter().flat_map(|pixels| std::iter::once(0).chain(std::iter::repeat_n(7, *pixels))).collect();
    let stored = |raw: &[u8]| {
        let length = raw.len() as u16;
        let (mut a, mut b) = (1u32, 0u32);
        for byte in raw {
            a = (a + u32::from(*byte)) % 65521;
            b = (b + a) % 65521;
        }
        [
            &[0x78, 0x01, 1][..],
            &length.to_le_bytes(),
            &(!length).to_le_bytes(),
            raw,
            &(b << 16 | a).to_be_bytes(),
        ]
        .concat()
    };
    let with = |raw: &[u8]| png(&[(*b"IHDR", header.clone()), (*b"IDAT", stored(raw)), (*b"IEND", vec![])]);
    assert!(walk(&with(&raw), Format::Png).is_ok());
    assert!(walk(&with(&raw[..raw.len() - 1]), Format::Png).is_err());
}

#[test]
fn a_decompression_bomb_is_told_by_its_header() {
    let header = [&30_000u32.to_be_bytes()[..], &30_000u32.to_be_bytes(), &[8, 2, 0, 0, 0]].concat();
    let bytes = png(&[(*b"IHDR", header), (*b"IDAT", vec![0; 64])]);
    assert_eq!(
        walk(&bytes, Format::Png),
        Err(Flaw::TooManyPixels(Dimensions { width: 30_000, height: 30_000 }, MAX_PIXELS))
    );
}

#[test]
fn the_data_of_a_gif_must_have_its_pixels() {
    let mut bytes = picture(Format::Gif);
    let descriptor = bytes.iter().rposition(|byte| *byte == 0x2c);
    assert!(descriptor.is_some());
    // another height of the only image: its data has fewer pixels
    let at = bytes.windows(9).position(|part| part[0] == 0x2c && part[5..9] == [61, 0, 47, 0]).unwrap();
    bytes[at + 7] = 48;
    let flaw = walk(&bytes, Format::Gif).unwrap_err().to_string();
    assert!(flaw.contains("61 pixels too few"), "{flaw}");
}

#[test]
fn the_first_image_that_is_too_large_is_named_in_whatever_portions_it_comes() {
    let sound = picture(Format::Gif);
    let image = |width: u16, height: u16| {
        [&[0x2c, 0, 0, 0, 0][..], &width.to_le_bytes(), &height.to_le_bytes(), &[0, 2, 0]].concat()
    };
    let bytes = [&sound[..sound.len() - 1], &image(2000, 2000), &image(60_000, 60_000), &[0x3b]].concat();
    let flaw = Err(Flaw::TooManyPixels(Dimensions { width: 2000, height: 2000 }, MAX_PIXELS));
    for part in [1, 7, 100_000] {
        assert_eq!(walk_in_parts(&bytes, Format::Gif, Depth::Structure, part), flaw);
    }
}

#[test]
fn junk_after_an_image_of_a_gif_ends_it_and_before_the_first_it_is_damage() {
    let sound = picture(Format::Gif);
    let with = |junk: &[u8]| [&sound[..sound.len() - 1], junk, &[0x3b]].concat();
    assert!(walk(&with(&[1, 2, 3, 4]), Format::Gif).is_ok());
    let mut before_the_first = sound.clone();
    let first = before_the_first.iter().position(|byte| *byte == 0x21).unwrap();
    before_the_first[first] = 0x55;
    assert!(walk(&before_the_first, Format::Gif).is_err());
    let no_trailer = &sound[..sound.len() - 1];
    assert_eq!(walk(no_trailer, Format::Gif), Ok(Whole { dimensions: SIZE, ends: false }));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn portions_make_no_difference(part in 1usize..400, at in 0.0f64..1.0, to: u8, keep in 0.0f64..1.0, gif: bool) {
        let format = if gif { Format::Gif } else { Format::Png };
        let mut bytes = picture(format);
        let at = (bytes.len() as f64 * at) as usize;
        bytes[at] = to;
        bytes.truncate((bytes.len() as f64 * keep) as usize);
        for depth in [Depth::Decode, Depth::Structure] {
            let whole = walk_in_parts(&bytes, format, depth, usize::MAX);
            prop_assert_eq!(walk_in_parts(&bytes, format, depth, part), whole);
        }
    }

    #[test]
    fn no_bytes_panic(mut bytes: Vec<u8>, keep in 0usize..400, gif: bool) {
        let format = if gif { Format::Gif } else { Format::Png };
        let good = picture(format);
        let mut mixed = good[..keep.min(good.len())].to_vec();
        mixed.append(&mut bytes);
        let _ = walk_in_parts(&mixed, format, Depth::Decode, 3);
    }
}
