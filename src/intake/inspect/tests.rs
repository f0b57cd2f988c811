#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "test pictures are small"
)]

use std::io::{Cursor, Write};

use super::*;
use crate::domain::image::Dimensions;
use ::md5::{Digest, Md5};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::{DynamicImage, ImageFormat, RgbImage};

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

fn rules(check: Check) -> Images {
    Images { max_per_brand: 10, max_bytes: 1 << 20, max_pixels: 1 << 20, check, mismatch: Mismatch::Correct }
}

fn inspected(rules: Images, bytes: &[u8], name: &str) -> Inspected {
    inspected_together(rules, &[(bytes, name)]).remove(0)
}

fn inspected_together(rules: Images, files: &[(&[u8], &str)]) -> Vec<Inspected> {
    let open = |bytes: &[u8]| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    };
    let opened: Vec<_> = files.iter().map(|(bytes, _)| open(bytes)).collect();
    let subjects: Vec<_> =
        opened.iter().zip(files).map(|(file, (_, name))| Subject::new(file, Path::new(name))).collect();
    let inspected = Inspector::new(rules, Budget::new(96 << 20)).inspect(&subjects);
    inspected.into_iter().map(|inspected| inspected.unwrap().unwrap()).collect()
}

fn inspect_with(rules: Images, bytes: &[u8], name: &str) -> Result<Picture, Flaw> {
    inspected(rules, bytes, name).result
}

fn inspect(bytes: &[u8]) -> Result<Picture, Flaw> {
    inspect_with(rules(Check::Decode), bytes, "x")
}

#[test]
fn sound_pictures_pass_with_their_size_and_checksums() {
    for format in Format::ALL {
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
        let mut hashes = Hashes::new();
        let part = text.as_bytes();
        Hashes::update_all([(&mut hashes, part)]);
        let digests = hashes.finish();
        assert_eq!(digests.crc64.to_string(), case["crc64ecma"].as_str().unwrap(), "{}", case["name"]);
        assert_eq!(digests.md5, case["content_md5"].as_str().unwrap(), "{}", case["name"]);
        compared += 1;
    }
    assert!(compared > 2, "{compared}");
}

/// Files of different lengths, of which some are refused at their beginning, in their middle, at their end.
#[test]
fn files_that_are_inspected_together_are_judged_as_each_alone() {
    let tail = |format, length| [picture(format), vec![7; length]].concat();
    let cut = picture(Format::Png)[..200].to_vec();
    let all = [
        tail(Format::Jpeg, 700_000),
        tail(Format::Gif, 0),
        b"no picture".to_vec(),
        tail(Format::Png, 300_001),
        cut,
        Vec::new(),
        tail(Format::Jpeg, 256 << 10),
        vec![0; 1000],
        tail(Format::Jpeg, 63),
        vec![0; 2 << 20],
    ];
    for check in [Check::Decode, Check::Structure] {
        let files: Vec<_> = all.iter().map(|bytes| (&bytes[..], "x")).collect();
        let together = inspected_together(rules(check), &files);
        assert_eq!(together.len(), all.len());
        for (one, bytes) in together.into_iter().zip(&all) {
            let alone = inspected(rules(check), bytes, "x");
            assert_eq!(format!("{:?}", one.result), format!("{:?}", alone.result));
            let digest = one.result.ok().map(|picture| picture.digests.md5);
            let expected = STANDARD.encode(Md5::digest(bytes));
            assert!(digest.is_none_or(|digest| digest == expected));
        }
    }
}

#[test]
fn bytes_after_the_end_are_normal() {
    for format in Format::ALL {
        let mut bytes = picture(format);
        bytes.extend_from_slice(&[0; 1000]);
        inspect(&bytes).unwrap();
    }
}

#[test]
fn a_cut_file_is_truncated_and_not_merely_damaged() {
    for format in Format::ALL {
        let bytes = picture(format);
        for keep in [bytes.len() / 10, bytes.len() / 2, bytes.len() - 10] {
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
    assert!(matches!(inspect(&bytes), Err(Flaw::Truncated(_) | Flaw::Damaged(_))));
}

/// Each picture shows a fault of judgement that programs of this kind were reported for; the verdict is the right one. Their
/// names begin with that fault: `a-` a sound picture is refused, `b-` a damaged one is taken or a size is wrong, `c-` the
/// reason is wrong, `d-` anything else.
#[test]
#[expect(clippy::too_many_lines, reason = "two tables, a line a picture")]
fn pictures_are_judged_rightly() {
    // sound ones, with their size, and whether their end marker is missing
    const SOUND: &[(&str, u32, u32, bool)] = &[
        ("a-gif-junk-after-image.gif", 16, 16, false),
        ("a-gif-no-colour-table.gif", 16, 16, false),
        ("a-gif-no-trailer.gif", 16, 16, true),
        ("a-gif-screen-0x0.gif", 16, 16, false),
        ("a-gif-unknown-extension.gif", 16, 16, false),
        ("a-jpg-chroma-finer-than-luma.jpg", 100, 75, false),
        ("a-jpg-dnl-height-known.jpg", 160, 120, false),
        ("a-jpg-no-dht.jpg", 160, 120, false),
        ("a-jpg-no-eoi.jpg", 160, 120, true),
        ("a-jpg-sampling-3x1.jpg", 100, 75, false),
        ("a-jpg-samsung-panorama-quiet.jpg", 160, 120, true),
        ("a-jpg-samsung-panorama-sof3.jpg", 160, 120, true),
        ("a-jpg-short-extended-xmp.jpg", 160, 120, false),
        ("a-ok-for-comparison.jpg", 320, 240, false),
        ("a-png-crc-of-exif.png", 32, 32, false),
        ("a-png-crc-of-text.png", 32, 32, false),
        ("b-jpg-size-from-trailer.jpg", 160, 120, false),
        ("d-gif-frame-bigger-than-screen.gif", 1, 1, false),
    ];
    // refused ones, with a part of the reason
    const REFUSED: &[(&str, ErrorKind, &str)] = &[
        (
            "b-apng-second-frame-broken.png",
            ErrorKind::DamagedImage,
            "the picture data of the PNG makes no sense",
        ),
        ("b-gif-second-frame-short.gif", ErrorKind::DamagedImage, "pixels too few"),
        ("b-jpg-4k-zeros-in-scan.jpg", ErrorKind::DamagedImage, "its picture data"),
        ("b-jpg-65535-high.jpg", ErrorKind::UnsupportedFormat, "leaves the height open"),
        ("b-jpg-hp-adf-dnl-150dpi.jpg", ErrorKind::UnsupportedFormat, "leaves the height open"),
        ("b-jpg-no-scan-data-at-all.jpg", ErrorKind::DamagedImage, "its picture data breaks off after 0 %"),
        ("b-jpg-progressive-zeros.jpg", ErrorKind::DamagedImage, "its picture data"),
        ("b-jpg-scan-cut-eoi-added.jpg", ErrorKind::DamagedImage, "its picture data breaks off after"),
        ("c-avif-miaf.jpg", ErrorKind::UnsupportedFormat, "an AVIF picture"),
        ("c-bigtiff.jpg", ErrorKind::UnsupportedFormat, "a TIFF picture"),
        ("c-corel.jpg", ErrorKind::UnsupportedFormat, "a CorelDRAW drawing"),
        ("c-emf.jpg", ErrorKind::UnsupportedFormat, "a Windows drawing (EMF)"),
        ("c-eps.jpg", ErrorKind::UnsupportedFormat, "an EPS or PostScript drawing"),
        ("c-gbk-text.jpg", ErrorKind::UnsupportedFormat, "a text file"),
        ("c-gif-frame-0x0.gif", ErrorKind::DamagedImage, "its first image has no pixels"),
        ("c-heif-brand-heif.jpg", ErrorKind::UnsupportedFormat, "a HEIC picture"),
        ("c-html-comment.jpg", ErrorKind::UnsupportedFormat, "a web page"),
        ("c-html-with-svg.jpg", ErrorKind::UnsupportedFormat, "a web page"),
        ("c-j2k.jpg", ErrorKind::UnsupportedFormat, "a JPEG 2000 picture"),
        ("c-jpeg-base64.jpg", ErrorKind::UnsupportedFormat, "a JPEG as base64 text"),
        ("c-jpeg-bom.jpg", ErrorKind::UnsupportedFormat, "a JPEG with other bytes before it"),
        ("c-jpeg-soi-twice.jpg", ErrorKind::DamagedImage, "it begins a second time"),
        ("c-jpeg-through-utf8.jpg", ErrorKind::UnsupportedFormat, "a JPEG ruined by a text conversion"),
        ("c-jpeg-with-http-head.jpg", ErrorKind::UnsupportedFormat, "a saved answer of a web server"),
        ("c-jpg-12-bit.jpg", ErrorKind::UnsupportedFormat, "12 bits"),
        ("c-jpg-cut-then-garbage.jpg", ErrorKind::DamagedImage, "breaks off"),
        ("c-jpg-dnl-height-0.jpg", ErrorKind::UnsupportedFormat, "leaves the height open"),
        ("c-jpg-hp-adf-dnl-200dpi.jpg", ErrorKind::UnsupportedFormat, "leaves the height open"),
        ("c-m4a.jpg", ErrorKind::UnsupportedFormat, "a sound file"),
        ("c-pdf-bom.jpg", ErrorKind::UnsupportedFormat, "a PDF document"),
        ("c-png-cgbi.png", ErrorKind::UnsupportedFormat, "CgBI"),
        ("c-png-plte-twice.png", ErrorKind::DamagedImage, "it has two palettes"),
        ("c-tga.jpg", ErrorKind::UnsupportedFormat, "a TGA picture"),
        ("c-wechat-dat.jpg", ErrorKind::UnsupportedFormat, "save the picture from the chat"),
        // three kilobytes cannot hold so many blocks
        ("d-jpg-scans-apart-33mp.jpg", ErrorKind::DamagedImage, "breaks off after 0 %"),
        ("c-zeros.jpg", ErrorKind::DamagedImage, "it holds nothing but zeros"),
    ];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pictures");
    let judge = |name: &str| {
        let rules = Images { max_bytes: 20 << 20, max_pixels: 100_000_000, ..rules(Check::Decode) };
        inspected(rules, &std::fs::read(folder.join(name)).unwrap(), name)
    };
    let mut wrong = Vec::new();
    for (name, width, height, lacks_end) in SOUND {
        let Inspected { result, lacks_end: lacks, .. } = judge(name);
        let size = result.as_ref().map(|picture| picture.dimensions);
        if size != Ok(Dimensions { width: *width, height: *height }) || lacks != *lacks_end {
            wrong.push(format!("{name}: {size:?}, lacks its end: {lacks}"));
        }
    }
    for (name, kind, reason) in REFUSED {
        match judge(name).result.map_err(|flaw| Failure::from(&flaw)) {
            Err(failure) if failure.kind == *kind && failure.message.contains(reason) => {
                let clean = !failure.message.contains(['\n', '"', '{']);
                assert!(clean, "{name}: {}", failure.message);
            }
            other => wrong.push(format!("{name}: {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(
        std::fs::read_dir(folder).unwrap().count(),
        SOUND.len() + REFUSED.len(),
        "each picture has its verdict"
    );
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
fn a_file_over_the_limit_is_not_read() {
    let bytes = vec![0; (1 << 20) + 1];
    assert_eq!(inspect(&bytes), Err(Flaw::TooLarge((1 << 20) + 1, 1 << 20)));
}

#[test]
fn a_wrong_suffix_is_corrected_or_rejected() {
    let bytes = picture(Format::Jpeg);
    assert_eq!(inspect_with(rules(Check::Decode), &bytes, "a.png").unwrap().format, Format::Jpeg);
    let strict = Images { mismatch: Mismatch::Reject, ..rules(Check::Decode) };
    for right in ["a.jpg", "a.JPEG", "a.jpe", "a.jfif", "a.pjpeg", "a.PJP"] {
        inspect_with(strict.clone(), &bytes, right).unwrap();
    }
    for wrong in ["a.png", "a", "a.txt"] {
        let flaw = inspect_with(strict.clone(), &bytes, wrong).unwrap_err();
        assert!(matches!(flaw, Flaw::Mismatch(..)), "{flaw}");
    }
}

/// A whole grey progressive picture of 4096 by 4096 without content, with a refinement: its walk keeps 2 MB.
fn progressive(tag: u8) -> Vec<u8> {
    const BLOCKS: usize = 512 * 512;
    fn segment(bytes: &mut Vec<u8>, code: u8, data: &[u8]) {
        bytes.extend([0xff, code]);
        bytes.extend(u16::try_from(data.len() + 2).unwrap().to_be_bytes());
        bytes.extend(data);
    }
    let table = |class: u8, value: u8| [&[class, 1][..], &[0; 15], &[value]].concat();
    let mut bytes = vec![0xff, 0xd8];
    segment(&mut bytes, 0xfe, &[tag]);
    segment(&mut bytes, 0xdb, &[&[0][..], &[1; 64]].concat());
    segment(&mut bytes, 0xc2, &[8, 0x10, 0, 0x10, 0, 1, 1, 0x11, 0]);
    // one code each: no difference; and 2^14 blocks without more, and 14 bits that say how many besides
    segment(&mut bytes, 0xc4, &table(0x00, 0));
    segment(&mut bytes, 0xc4, &table(0x10, 0xe0));
    segment(&mut bytes, 0xda, &[1, 1, 0, 0, 0, 0]);
    bytes.extend(vec![0; BLOCKS / 8]);
    for approximation in [0x01, 0x10] {
        segment(&mut bytes, 0xda, &[1, 1, 0, 1, 63, approximation]);
        bytes.extend([0; (BLOCKS >> 14) * 15 / 8]);
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}

/// Files of one thread held what the next of them waited for.
#[test]
fn files_that_are_read_together_do_not_wait_for_each_other_s_memory() {
    let whole: Vec<_> = (0..4).map(progressive).collect();
    let endless: Vec<_> = whole.iter().map(|bytes| &bytes[..bytes.len() - 2]).collect();
    for (check, files) in [
        (Check::Decode, whole.iter().map(Vec::as_slice).collect()),
        // walked through once more, to find out whether only the end marker is missing
        (Check::Structure, endless),
    ] {
        let opened: Vec<_> = files
            .iter()
            .map(|bytes| {
                let mut file = tempfile::tempfile().unwrap();
                file.write_all(bytes).unwrap();
                file
            })
            .collect();
        let subjects: Vec<_> = opened.iter().map(|file| Subject::new(file, Path::new("x.jpg"))).collect();
        // two of them at a time
        let budget = Budget::with_patience(5 << 20, std::time::Duration::from_millis(1));
        let rules = Images { max_pixels: 1 << 25, ..rules(check) };
        let inspected = Inspector::new(rules, budget.clone()).inspect(&subjects);
        let sound = |inspected: io::Result<Option<Inspected>>| inspected.unwrap().unwrap().result.is_ok();
        assert!(inspected.into_iter().all(sound), "{check:?}");
        assert_eq!(budget.free(), 5 << 20);
    }
}
