//! Pictures, each seed another one.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

fn draw(seed: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(40, 30, |x, y| Rgb([seed, (x * 6) as u8, (y * 8) as u8 ^ seed]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub fn jpg(seed: u8) -> Vec<u8> {
    draw(seed, ImageFormat::Jpeg)
}

pub fn png(seed: u8) -> Vec<u8> {
    draw(seed, ImageFormat::Png)
}

pub fn gif(seed: u8) -> Vec<u8> {
    draw(seed, ImageFormat::Gif)
}
