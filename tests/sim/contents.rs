//! The bytes that people drop.

use std::io::Cursor;
use std::sync::OnceLock;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use sha2::{Digest, Sha256};

pub struct Content {
    pub bytes: Vec<u8>,
    pub sha256: String,
    /// A sound picture.
    pub good: bool,
}

/// All of them; recorded runs name them by their place, so new ones go to the end.
pub fn contents() -> &'static [Content] {
    static CONTENTS: OnceLock<Vec<Content>> = OnceLock::new();
    CONTENTS.get_or_init(|| {
        let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::Gif];
        let good = (0..8).map(|seed| (draw(seed, formats[usize::from(seed) % 3]), true));
        let whole = draw(20, ImageFormat::Jpeg);
        let bad = [b"no picture".to_vec(), Vec::new(), whole[..whole.len() / 2].to_vec()];
        good.chain(bad.map(|bytes| (bytes, false)))
            .map(|(bytes, good)| Content { sha256: sha256(&bytes), bytes, good })
            .collect()
    })
}

/// Are these the bytes of a sound picture?
pub fn is_good(sha256: &str) -> bool {
    contents().iter().any(|content| content.good && content.sha256 == sha256)
}

pub fn sha256(bytes: &[u8]) -> String {
    brandpost::domain::text::hex(&Sha256::digest(bytes))
}

fn draw(seed: u8, format: ImageFormat) -> Vec<u8> {
    let image = RgbImage::from_fn(4, 3, |x, y| Rgb([seed * 9, (x * 60) as u8, (y * 80) as u8 ^ seed]));
    let mut bytes = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}
