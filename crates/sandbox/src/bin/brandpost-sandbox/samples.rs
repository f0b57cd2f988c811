//! Sample files: two brands' pictures, drawn here so that none need be shipped, and files that are no whole pictures.

use std::fs::File;
use std::io::{Cursor, Write};
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};

/// How many there are of both brands.
pub(crate) const FILES: usize = 16;

/// Eleven pictures for ten slots, dropped before the daemon starts.
pub(crate) fn first_brand(inbox: &Path) -> anyhow::Result<()> {
    let brand = inbox.join("OWNBRAND/1001");
    std::fs::create_dir_all(&brand)?;
    let formats = [("jpg", ImageFormat::Jpeg), ("png", ImageFormat::Png), ("gif", ImageFormat::Gif)];
    for number in 1..=11u32 {
        let (suffix, format) = formats[number as usize % formats.len()];
        drop_file(&brand, &format!("{number}.{suffix}"), &draw(number, 480, 360, format)?)?;
    }
    Ok(())
}

/// Dropped while the daemon watches.
pub(crate) fn second_brand(inbox: &Path) -> anyhow::Result<()> {
    let brand = inbox.join("OTHERBRAND/2002");
    std::fs::create_dir_all(&brand)?;
    drop_file(&brand, "营业执照.png", &draw(21, 600, 400, ImageFormat::Png)?)?;
    drop_file(&brand, "front.JPEG", &draw(22, 640, 480, ImageFormat::Jpeg)?)?;
    drop_file(&brand, "logo.gif", &draw(23, 200, 200, ImageFormat::Gif)?)?;
    drop_file(&brand, "really-a-text.png", b"This is no picture, whatever its name says.\n")?;
    let whole = draw(24, 640, 480, ImageFormat::Jpeg)?;
    drop_file(&brand, "cut-off.jpg", &whole[..whole.len() / 2])
}

/// As a careful copier does: under a hidden name, then renamed.
fn drop_file(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let hidden = folder.join(format!(".{name}"));
    File::create(&hidden)?.write_all(bytes)?;
    Ok(std::fs::rename(hidden, folder.join(name))?)
}

/// Draws a picture like no other: `seed` chooses its colours.
fn draw(seed: u32, width: u32, height: u32, format: ImageFormat) -> anyhow::Result<Vec<u8>> {
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
