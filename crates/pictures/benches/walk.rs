//! What it costs to check a picture: MB a second and milliseconds a megapixel, a format each, beside the checksums that
//! are computed of every file and what a decoder takes. The JPEG has colours at full size, twice the blocks of a phone's. Minima of several rounds; ratios within one run are what counts.

#![allow(
    unreachable_pub,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    reason = "a bench prints and measures real time"
)]

use std::hint::black_box;
use std::io::Cursor;
use std::time::{Duration, Instant};

use image::codecs::jpeg::JpegEncoder;
use image::{DynamicImage, ImageFormat, ImageReader, RgbImage};
use md5::Md5;
use pictures::{Budget, Depth, Format, Walk};
use sha2::{Digest, Sha256};

const WIDTH: u32 = 1632;
const HEIGHT: u32 = 1224;
const JPEG_BYTES: usize = 480_000;

/// Waves with noise on them: something like a photograph.
fn photograph(noise: u32) -> RgbImage {
    let mut seed = 1u32;
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let grain = ((seed >> 24) * noise / 256) as f32;
        let wave = |scale: f32| ((x as f32 / scale).sin() + (y as f32 / (scale * 1.3)).cos()) * 50.0 + 110.0;
        let level = |scale| (wave(scale) + grain).clamp(0.0, 255.0) as u8;
        image::Rgb([level(47.0), level(61.0), level(83.0)])
    })
}

fn jpeg() -> Vec<u8> {
    let encode = |noise| {
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 80).encode_image(&photograph(noise)).unwrap();
        bytes
    };
    (0..64).map(|noise| encode(noise * 2)).find(|bytes| bytes.len() >= JPEG_BYTES).unwrap()
}

fn other(format: ImageFormat) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(photograph(8)).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn walk(bytes: &[u8], format: Format, depth: Depth) {
    let mut walk = Walk::new(format, depth, u64::MAX, &Budget::new(96 << 20));
    for part in bytes.chunks(128 << 10) {
        walk.feed(part).unwrap();
    }
    black_box(walk.finish().unwrap());
}

fn hash(bytes: &[u8]) {
    let (mut sha, mut md5, mut crc) = (Sha256::new(), Md5::new(), crc64fast::Digest::new());
    for part in bytes.chunks(128 << 10) {
        sha.update(part);
        md5.update(part);
        crc.write(part);
    }
    black_box((sha.finalize(), md5.finalize(), crc.sum64()));
}

fn least(mut work: impl FnMut()) -> Duration {
    let timed = |()| {
        let began = Instant::now();
        work();
        began.elapsed()
    };
    std::iter::repeat_n((), 20).map(timed).min().unwrap()
}

fn main() {
    println!("{WIDTH}×{HEIGHT}, {:.1} megapixels", f64::from(WIDTH * HEIGHT) / 1e6);
    let pictures = [
        (Format::Jpeg, jpeg()),
        (Format::Png, other(ImageFormat::Png)),
        (Format::Gif, other(ImageFormat::Gif)),
    ];
    for (format, bytes) in &pictures {
        let tell = |what: &str, time: Duration| {
            let speed = bytes.len() as f64 / 1e6 / time.as_secs_f64();
            let per_megapixel = time.as_secs_f64() * 1e9 / f64::from(WIDTH * HEIGHT);
            println!(
                "{format:5} {:5} kB  {what:16} {speed:8.0} MB/s {per_megapixel:8.2} ms/MP",
                bytes.len() / 1000
            );
        };
        let structure = least(|| walk(bytes, *format, Depth::Structure));
        let decode = least(|| walk(bytes, *format, Depth::Decode));
        let hashes = least(|| hash(bytes));
        let reader = || ImageReader::new(Cursor::new(bytes)).with_guessed_format().unwrap();
        let pixels = least(|| drop(black_box(reader().decode().unwrap())));
        tell("structure", structure);
        tell("decode", decode);
        tell("checksums", hashes);
        tell("image's decoder", pixels);
        let ratio = |walk: Duration| (walk + hashes).as_secs_f64() / (structure + hashes).as_secs_f64();
        println!(
            "{format:5} decode : structure, with checksums = {:.2} (with image's decoder {:.2})",
            ratio(decode),
            ratio(structure + pixels)
        );
    }
}
