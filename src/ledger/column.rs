//! Types of the domain as values of columns, so that a row is parsed where it is read and nowhere else.

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteTypeInfo, SqliteValueRef};
use sqlx::{Decode, Sqlite, Type};

use crate::domain::brand::{BrandType, Outcome, RecordId, UploadId};
use crate::domain::failure::ErrorKind;
use crate::domain::notice::NoticeName;
use crate::domain::upload::State;

/// A type that is in the database as another one, and how it is made from that.
macro_rules! column {
    ($name:ty, $stored:ty, $parse:expr) => {
        impl Type<Sqlite> for $name {
            fn type_info() -> SqliteTypeInfo {
                <$stored as Type<Sqlite>>::type_info()
            }

            fn compatible(column: &SqliteTypeInfo) -> bool {
                <$stored as Type<Sqlite>>::compatible(column)
            }
        }

        impl<'r> Decode<'r, Sqlite> for $name {
            fn decode(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let parse: fn($stored) -> Result<Self, BoxDynError> = $parse;
                parse(<$stored>::decode(value)?)
            }
        }
    };
}

column!(State, &str, |text| Ok(text.parse()?));
column!(ErrorKind, &str, |text| Ok(text.parse()?));
column!(Outcome, &str, |text| Ok(text.parse()?));
column!(NoticeName, &str, |text| Ok(text.parse()?));
column!(BrandType, &str, |text| Ok(text.parse()?));
column!(RecordId, i64, |number| Ok(number.try_into()?));
column!(UploadId, i64, |number| Ok(UploadId(number)));
