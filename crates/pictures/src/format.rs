//! The picture formats that are checked.

use std::fmt;

use crate::flaw::Flaw;

/// A picture format, told by content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// JPEG (JFIF, Exif).
    Jpeg,
    /// PNG, also animated (APNG).
    Png,
    /// GIF 87a or 89a.
    Gif,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 3] = [Format::Jpeg, Format::Png, Format::Gif];

    /// The usual end of a file's name, and the `suffix` of the platform's API.
    pub fn suffix(self) -> &'static str {
        match self {
            Format::Jpeg => "jpg",
            Format::Png => "png",
            Format::Gif => "gif",
        }
    }

    /// The media type (RFC 2046).
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Jpeg => "image/jpeg",
            Format::Png => "image/png",
            Format::Gif => "image/gif",
        }
    }

    /// The format that a suffix stands for, in any case of letters. JPEG has several: `.jfif` is what browsers
    /// on Windows save, `.pjpeg` and `.pjp` what old ones do.
    pub fn from_suffix(suffix: &str) -> Option<Self> {
        match suffix.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" | "jpe" | "jfif" | "pjpeg" | "pjp" => Some(Format::Jpeg),
            "png" => Some(Format::Png),
            "gif" => Some(Format::Gif),
            _ => None,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Jpeg => "JPEG",
            Format::Png => "PNG",
            Format::Gif => "GIF",
        })
    }
}

/// Width and height in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dimensions {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
}

impl Dimensions {
    /// How many pixels there are.
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Has it no more pixels than this?
    pub(crate) fn within(self, max_pixels: u64) -> Result<Self, Flaw> {
        if self.pixels() > max_pixels { Err(Flaw::TooManyPixels(self, max_pixels)) } else { Ok(self) }
    }

    /// `None`: there are no pixels.
    pub(crate) fn new(width: u32, height: u32) -> Option<Self> {
        (width > 0 && height > 0).then_some(Dimensions { width, height })
    }
}

impl fmt::Display for Dimensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}×{}", self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each names the next one, so that the compiler asks where a new one belongs.
    #[test]
    fn all_are_all_and_are_told_by_their_suffixes() {
        let all = std::iter::successors(Some(Format::Jpeg), |format| match format {
            Format::Jpeg => Some(Format::Png),
            Format::Png => Some(Format::Gif),
            Format::Gif => None,
        });
        assert!(all.eq(Format::ALL));
        for format in Format::ALL {
            assert_eq!(Format::from_suffix(format.suffix()), Some(format));
        }
    }
}
