//! Sample pictures, drawn here so that none need be shipped.

use std::io::Cursor;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// Draws a picture like no other: `seed` chooses its colours.
pub(crate) fn draw(seed: u32, width: u32, height: u32, format: ImageFormat) -> anyhow::Result<Vec<u8>> {
    let hue = |shift: u32| u8::try_from((seed * 67 + shift) % 200).unwrap_or_default() + 40;
    let (paper, ink) = (Rgb([245, 243, 238]), Rgb([hue(0), hue(90), hue(150)]));
    let centre = (f64::from(width) / 2.0, f64::from(height) / 2.0);
    let radius = centre.0.min(centre.1) * 0.7;
    // a round seal with spokes, as many as the seed says
    let image = RgbImage::from_fn(width, height, |x, y| {
        let (dx, dy) = (f64::from(x) - centre.0, f64::from(y) - centre.1);
        let (distance, angle) = (dx.hypot(dy), dy.atan2(dx));
        let ring = (distance - radius).abs() < radius * 0.08;
        let spoke = distance < radius * 0.8 && (angle * f64::from(seed % 9 + 2)).cos() > 0.85;
        if ring || spoke { ink } else { paper }
    });
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format)?;
    Ok(bytes.into_inner())
}
