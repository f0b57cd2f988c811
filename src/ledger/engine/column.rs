//! Rows of either engine, and how a column becomes a value: a row is parsed where it is read and nowhere else.

use sqlx::error::BoxDynError;
use sqlx::postgres::{PgRow, PgValueRef};
use sqlx::sqlite::{SqliteRow, SqliteValueRef};
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type, TypeInfo, ValueRef};

use crate::domain::brand::{BrandType, Outcome, RecordId, UploadId};
use crate::domain::failure::ErrorKind;
use crate::domain::notice::NoticeName;
use crate::domain::upload::State;

/// A row that was read.
#[derive(Debug)]
pub(in crate::ledger) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// A type that columns are read as.
pub(in crate::ledger) trait Column<'r>: Sized {
    fn from_sqlite(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError>;

    fn from_postgres(value: PgValueRef<'r>) -> Result<Self, BoxDynError>;

    /// What NULL is.
    fn null() -> Result<Self, BoxDynError> {
        Err("NULL where there must be a value".into())
    }
}

impl Row {
    /// The value of a column.
    pub(in crate::ledger) fn get<'r, T: Column<'r>>(&'r self, name: &str) -> sqlx::Result<T> {
        let value = match self {
            Row::Sqlite(row) => sqlite(row.try_get_raw(name)?),
            Row::Postgres(row) => postgres(row.try_get_raw(name)?),
        };
        value.map_err(|source| sqlx::Error::ColumnDecode { index: name.into(), source })
    }

    /// The value of the first column.
    pub(in crate::ledger) fn first<'r, T: Column<'r>>(&'r self) -> sqlx::Result<T> {
        let value = match self {
            Row::Sqlite(row) => sqlite(row.try_get_raw(0)?),
            Row::Postgres(row) => postgres(row.try_get_raw(0)?),
        };
        value.map_err(|source| sqlx::Error::ColumnDecode { index: "0".into(), source })
    }
}

fn sqlite<'r, T: Column<'r>>(value: SqliteValueRef<'r>) -> Result<T, BoxDynError> {
    if value.is_null() { T::null() } else { T::from_sqlite(value) }
}

fn postgres<'r, T: Column<'r>>(value: PgValueRef<'r>) -> Result<T, BoxDynError> {
    if value.is_null() { T::null() } else { T::from_postgres(value) }
}

/// Decodes a value that is of the type that is asked for.
fn checked<'r, DB, T>(value: DB::ValueRef<'r>) -> Result<T, BoxDynError>
where
    DB: sqlx::Database,
    T: Type<DB> + Decode<'r, DB>,
{
    let column = value.type_info();
    if !T::compatible(&column) {
        return Err(format!("a value of type {column}").into());
    }
    drop(column);
    T::decode(value)
}

macro_rules! native {
    ($($type:ty),+) => {$(
        impl<'r> Column<'r> for $type {
            fn from_sqlite(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                checked::<Sqlite, _>(value)
            }

            fn from_postgres(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                checked::<Postgres, _>(value)
            }
        }
    )+};
}

native!(&'r str, String, &'r [u8], Vec<u8>);

impl<'r> Column<'r> for i64 {
    fn from_sqlite(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        checked::<Sqlite, _>(value)
    }

    /// Whole numbers of all sizes, and what is true or false.
    fn from_postgres(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        let column = value.type_info();
        let name = column.name().to_owned();
        drop(column);
        match &*name {
            "INT4" => Ok(<i32 as Decode<Postgres>>::decode(value)?.into()),
            "BOOL" => Ok(<bool as Decode<Postgres>>::decode(value)?.into()),
            _ => checked::<Postgres, _>(value),
        }
    }
}

/// A type that is in the database as another one, and how it is made from that.
macro_rules! stored_as {
    ($stored:ty: $($type:ty => $parse:expr),+ $(,)?) => {$(
        impl<'r> Column<'r> for $type {
            fn from_sqlite(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
                let parse: fn($stored) -> Result<Self, BoxDynError> = $parse;
                parse(Column::from_sqlite(value)?)
            }

            fn from_postgres(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
                let parse: fn($stored) -> Result<Self, BoxDynError> = $parse;
                parse(Column::from_postgres(value)?)
            }
        }
    )+};
}

stored_as!(i64:
    u32 => |number| Ok(number.try_into()?),
    bool => |number| Ok(number != 0),
    RecordId => |number| Ok(number.try_into()?),
    UploadId => |number| Ok(UploadId(number)),
);
stored_as!(&str:
    State => |text| Ok(text.parse()?),
    ErrorKind => |text| Ok(text.parse()?),
    Outcome => |text| Ok(text.parse()?),
    NoticeName => |text| Ok(text.parse()?),
    BrandType => |text| Ok(text.parse()?),
);

impl<'r, T: Column<'r>> Column<'r> for Option<T> {
    fn from_sqlite(value: SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        T::from_sqlite(value).map(Some)
    }

    fn from_postgres(value: PgValueRef<'r>) -> Result<Self, BoxDynError> {
        T::from_postgres(value).map(Some)
    }

    fn null() -> Result<Self, BoxDynError> {
        Ok(None)
    }
}
