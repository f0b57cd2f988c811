//! A claim: the right to make one attempt, and what is needed for it.

use std::path::PathBuf;

use jiff::Timestamp;

use super::{Brand, BrandId, BrandKey, ClaimToken, Upload, UploadId};
use crate::domain::image::Format;
use crate::domain::upload::{Digests, Stamp};

/// The right and the knowledge to make one attempt.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Which claim this is: only its holder may end it.
    pub token: ClaimToken,
    /// Whose file it is.
    pub brand: BrandKey,
    /// The number of that brand.
    pub brand_id: BrandId,
    /// The whole path.
    pub path: PathBuf,
    /// The API's `index`.
    pub slot: u32,
    /// What the bytes are.
    pub format: Format,
    /// The file as it was inspected.
    pub stamp: Stamp,
    /// Its checksums.
    pub digests: Digests,
    /// Which content of this path it is.
    pub revision: u32,
    /// Since when the file is to be sent.
    pub wanted_since: Option<Timestamp>,
    /// How many attempts counted before this one.
    pub attempts: u32,
}

impl Claim {
    /// Whose attempt it is.
    pub fn id(&self) -> UploadId {
        self.token.upload
    }

    /// The number of this attempt in the log.
    pub fn number(&self) -> u32 {
        self.token.number
    }

    /// `None` for a file without a slot or a picture, which is never due.
    pub(super) fn of(brand: &Brand, file: &Upload) -> Option<Self> {
        let picture = file.picture.as_ref()?;
        Some(Self {
            token: ClaimToken { upload: file.id, number: file.tries },
            brand: brand.key,
            brand_id: brand.id,
            path: file.path.clone(),
            slot: file.slot?,
            format: picture.format,
            stamp: file.stamp,
            digests: picture.digests.clone(),
            revision: file.revision,
            wanted_since: file.wanted_since,
            attempts: file.attempts,
        })
    }
}
