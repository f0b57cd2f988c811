//! What credentials are granted for: a place of a brand.

use std::fmt;

use serde::Serialize;

/// What credentials are granted for.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Slot {
    #[serde(rename = "type")]
    pub kind: String,
    pub id: i64,
    pub index: i64,
    pub suffix: String,
}

/// `OWNBRAND/1001/1`
impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.kind, self.id, self.index)
    }
}
