//! Whose files failed. A cloud that refuses all files of one brand is not down for the others.

use crate::domain::brand::BrandId;

/// Of which brands the files were that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FailingBrands {
    None,
    One(BrandId),
    Several,
}

impl FailingBrands {
    /// A file of this brand failed.
    pub(super) fn add(&mut self, brand: BrandId) {
        *self = match *self {
            FailingBrands::None => FailingBrands::One(brand),
            FailingBrands::One(other) if other == brand => FailingBrands::One(brand),
            FailingBrands::One(_) | FailingBrands::Several => FailingBrands::Several,
        }
    }

    /// The brand, if it is only one.
    pub(super) fn only(self) -> Option<BrandId> {
        match self {
            FailingBrands::One(brand) => Some(brand),
            FailingBrands::None | FailingBrands::Several => None,
        }
    }
}
