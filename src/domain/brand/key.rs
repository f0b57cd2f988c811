//! A brand record of the platform: its type and its record id.

use std::fmt;
use std::str::FromStr;

use serde::{Serialize, Serializer};

use crate::domain::text::visible;

/// Whose brand it is, in the words of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BrandType {
    /// `OWNBRAND`: the company's own (自有品牌).
    Own,
    /// `OTHERBRAND`: somebody else's (其他品牌).
    Other,
}

impl BrandType {
    /// Both types, in the order in which they are listed.
    pub const ALL: [BrandType; 2] = [BrandType::Own, BrandType::Other];

    /// The API's word, which is also the folder's name.
    pub fn as_str(self) -> &'static str {
        match self {
            BrandType::Own => "OWNBRAND",
            BrandType::Other => "OTHERBRAND",
        }
    }
}

impl Serialize for BrandType {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl fmt::Display for BrandType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for BrandType {
    type Err = BrandError;

    fn from_str(text: &str) -> Result<Self, BrandError> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| BrandError::Type(text.into()))
    }
}

/// The number of a brand in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrandId(pub i64);

/// The id of a brand record on the platform (the API's `id`): positive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct RecordId(i64);

impl TryFrom<i64> for RecordId {
    type Error = BrandError;

    fn try_from(number: i64) -> Result<Self, BrandError> {
        if number > 0 { Ok(Self(number)) } else { Err(BrandError::Record(number.to_string())) }
    }
}

impl FromStr for RecordId {
    type Err = BrandError;

    /// Only the canonical decimal form: `01001` and `1001` must not be two folders of one brand.
    fn from_str(text: &str) -> Result<Self, BrandError> {
        let canonical = !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
        let record = if canonical { text.parse::<i64>().ok() } else { None };
        record.map(Self).ok_or_else(|| BrandError::Record(text.into()))
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A brand record: type and positive record id. Written `OWNBRAND/1001`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BrandKey {
    kind: BrandType,
    record: RecordId,
}

impl BrandKey {
    /// A brand record.
    ///
    /// # Errors
    /// When `record` is not positive.
    pub fn new(kind: BrandType, record: i64) -> Result<Self, BrandError> {
        Ok(Self { kind, record: record.try_into()? })
    }

    /// The brand's type.
    pub fn kind(self) -> BrandType {
        self.kind
    }

    /// The id of the record on the platform (the API's `id`).
    pub fn record(self) -> i64 {
        self.record.0
    }
}

impl From<(BrandType, RecordId)> for BrandKey {
    fn from((kind, record): (BrandType, RecordId)) -> Self {
        Self { kind, record }
    }
}

impl fmt::Display for BrandKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.record)
    }
}

impl FromStr for BrandKey {
    type Err = BrandError;

    fn from_str(text: &str) -> Result<Self, BrandError> {
        let (kind, record) = text.split_once('/').ok_or_else(|| BrandError::Shape(text.into()))?;
        Ok((kind.parse::<BrandType>()?, record.parse::<RecordId>()?).into())
    }
}

/// Why a text names no brand.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrandError {
    /// No `TYPE/ID`.
    #[error("\"{}\" is no brand: write it as OWNBRAND/1001", visible(.0))]
    Shape(String),
    /// An unknown type.
    #[error("\"{}\" is no brand type: it is OWNBRAND or OTHERBRAND, in capitals", visible(.0))]
    Type(String),
    /// An id that is no positive whole number.
    #[error("\"{}\" is no record id: it is a whole number from 1 on, without leading zeros", visible(.0))]
    Record(String),
    /// A folder in a type's folder whose name does not begin with an id.
    #[error(
        "\"{}\" is no brand's folder: its name is a record id (without leading zeros), or a record id and a label, as in \"1001-Acme\"",
        visible(.0)
    )]
    Folder(String),
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_that_is_no_brand_cannot_forge_a_line() {
        for name in ["OWNBRAND/evil\nERROR fake", "evil\n\u{1b}[31m/1"] {
            let error = name.parse::<BrandKey>().unwrap_err().to_string();
            assert!(!error.contains(char::is_control), "{error:?}");
        }
    }

    #[test]
    fn only_the_canonical_form_is_a_brand() {
        assert_eq!("OWNBRAND/1001".parse::<BrandKey>().unwrap().record(), 1001);
        for bad in ["OWNBRAND", "OWNBRAND/", "ownbrand/1", "OWNBRAND/01", "OWNBRAND/-1", "OWNBRAND/0"] {
            assert!(bad.parse::<BrandKey>().is_err(), "{bad}");
        }
        assert!("OWNBRAND/9223372036854775808".parse::<BrandKey>().is_err(), "beyond an API Long");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(record in 1..=i64::MAX, own: bool) {
            let kind = if own { BrandType::Own } else { BrandType::Other };
            let brand = BrandKey::new(kind, record).unwrap();
            prop_assert_eq!(brand.to_string().parse::<BrandKey>().unwrap(), brand);
        }

        #[test]
        fn no_text_panics(text in ".*") {
            let _ = text.parse::<BrandKey>();
        }
    }
}
