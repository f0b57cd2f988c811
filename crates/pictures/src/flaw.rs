//! What is wrong with a file, in words for operators.

use crate::format::{Dimensions, Format};

/// What is wrong with a file's bytes. The texts are one line each, and say what to do where that is not plain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// It ends before its end; perhaps it is still being copied.
    #[error("the file ends too early: {0}")]
    Truncated(String),
    /// It is broken.
    #[error("the picture is damaged: {0}")]
    Damaged(String),
    /// It is sound for all we know, but not a picture that browsers show.
    #[error("{0}")]
    Unsupported(String),
    /// It has too many pixels.
    #[error("{0} is over images.max_pixels = {1}")]
    TooManyPixels(Dimensions, u64),
    /// Its name has another suffix.
    #[error("the name says {0}, the bytes are a {1}")]
    Mismatch(String, Format),
    /// It has too many bytes.
    #[error("{0} bytes ({mib:.1} MiB) are over images.max_bytes = {1} ({most:.1} MiB)", mib = mib(*.0), most = mib(*.1))]
    TooLarge(u64, u64),
    /// Nothing is known of it: others have the memory. It is to be looked at again later.
    #[error("there is no memory to check the picture now")]
    NoMemoryNow,
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

impl Flaw {
    /// May it be because the file is still being copied, so that a later look finds it whole?
    pub fn may_be_unfinished(&self) -> bool {
        match self {
            Flaw::Truncated(_) | Flaw::Damaged(_) => true,
            Flaw::Unsupported(_)
            | Flaw::TooManyPixels(..)
            | Flaw::Mismatch(..)
            | Flaw::TooLarge(..)
            | Flaw::NoMemoryNow => false,
        }
    }

    pub(crate) fn damaged(what: impl Into<String>) -> Self {
        Flaw::Damaged(what.into())
    }

    pub(crate) fn truncated(what: impl Into<String>) -> Self {
        Flaw::Truncated(what.into())
    }

    pub(crate) fn unsupported(what: impl Into<String>) -> Self {
        Flaw::Unsupported(what.into())
    }
}
