//! A statement with its values, for either engine.

use std::borrow::Cow;
use std::fmt::Write;
use std::io;

use futures_util::TryStreamExt;
use sqlx::{AssertSqlSafe, Postgres, SqlStr, Sqlite};
use tokio::time::timeout;

use super::postgres::PATIENCE;
use super::{Column, Pool, Row, Tx};
use crate::ledger::error::Result;

/// A value that a placeholder stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ledger) enum Value {
    Int(Option<i64>),
    Text(Option<String>),
    Bytes(Option<Vec<u8>>),
}

/// SQL with the values of its placeholders.
#[derive(Debug, Clone)]
pub(in crate::ledger) struct Statement {
    text: Cow<'static, str>,
    values: Vec<Value>,
    /// The numbers of the placeholders that stand in the text as [`PUSHED`].
    pushed: Vec<usize>,
}

/// A placeholder whose form depends on the engine.
const PUSHED: char = '\u{1}';

/// Where a statement is carried out.
#[derive(Debug)]
pub(in crate::ledger) enum Executor<'t> {
    Tx(&'t mut Tx),
    Pool(&'t Pool),
}

/// A statement whose values are bound next.
pub(in crate::ledger) fn sql(text: &'static str) -> Statement {
    Statement { text: Cow::Borrowed(text), values: Vec::new(), pushed: Vec::new() }
}

impl Statement {
    /// The value of the next placeholder: `$1`, `$2`, ….
    pub(in crate::ledger) fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// More SQL.
    pub(in crate::ledger) fn push(&mut self, text: &str) -> &mut Self {
        self.text.to_mut().push_str(text);
        self
    }

    /// A placeholder with its value.
    pub(in crate::ledger) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Self {
        self.values.push(value.into());
        self.pushed.push(self.values.len());
        self.text.to_mut().push(PUSHED);
        self
    }

    /// Placeholders with commas between them. An empty list is written `NULL`, which matches no value.
    pub(in crate::ledger) fn push_list<V: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Self {
        let before = self.values.len();
        for (at, value) in values.into_iter().enumerate() {
            self.push(if at > 0 { ", " } else { "" }).push_bind(value);
        }
        match self.values.len() == before {
            true => self.push("NULL"),
            false => self,
        }
    }

    /// `VALUES` with a row for each list of values.
    pub(in crate::ledger) fn push_rows(&mut self, rows: impl IntoIterator<Item = Vec<Value>>) -> &mut Self {
        self.push("VALUES ");
        for (at, row) in rows.into_iter().enumerate() {
            self.push(if at > 0 { ", (" } else { "(" });
            self.push_list(row);
            self.push(")");
        }
        self
    }

    /// Carries it out. Gives back how many rows were changed.
    pub(in crate::ledger) async fn execute<'t>(self, on: impl Into<Executor<'t>>) -> sqlx::Result<u64> {
        Ok(match on.into() {
            Executor::Tx(Tx::Sqlite(tx)) => self.sqlite().execute(&mut **tx).await?.rows_affected(),
            Executor::Tx(Tx::Postgres(tx)) => {
                in_time(self.postgres().execute(&mut **tx)).await?.rows_affected()
            }
            Executor::Pool(Pool::Sqlite(pool)) => self.sqlite().execute(pool).await?.rows_affected(),
            Executor::Pool(Pool::Postgres(pool)) => {
                in_time(self.postgres().execute(pool)).await?.rows_affected()
            }
        })
    }

    /// All rows.
    pub(in crate::ledger) async fn all<'t>(self, on: impl Into<Executor<'t>>) -> sqlx::Result<Vec<Row>> {
        Ok(match on.into() {
            Executor::Tx(Tx::Sqlite(tx)) => rows(self.sqlite().fetch_all(&mut **tx).await?, Row::Sqlite),
            Executor::Tx(Tx::Postgres(tx)) => {
                rows(in_time(self.postgres().fetch_all(&mut **tx)).await?, Row::Postgres)
            }
            Executor::Pool(Pool::Sqlite(pool)) => rows(self.sqlite().fetch_all(pool).await?, Row::Sqlite),
            Executor::Pool(Pool::Postgres(pool)) => {
                rows(in_time(self.postgres().fetch_all(pool)).await?, Row::Postgres)
            }
        })
    }

    /// All rows, one at a time: a row as the database gives it takes several times the memory of what is made of it.
    pub(in crate::ledger) async fn each<'t>(
        self,
        on: impl Into<Executor<'t>>,
        mut read: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        match on.into() {
            Executor::Tx(Tx::Sqlite(tx)) => {
                let mut rows = self.sqlite().fetch(&mut **tx);
                while let Some(row) = rows.try_next().await? {
                    read(&Row::Sqlite(row))?;
                }
            }
            Executor::Pool(Pool::Sqlite(pool)) => {
                let mut rows = self.sqlite().fetch(pool);
                while let Some(row) = rows.try_next().await? {
                    read(&Row::Sqlite(row))?;
                }
            }
            on => self.all(on).await?.iter().try_for_each(read)?,
        }
        Ok(())
    }

    /// The first row, if there is one.
    pub(in crate::ledger) async fn optional<'t>(
        self,
        on: impl Into<Executor<'t>>,
    ) -> sqlx::Result<Option<Row>> {
        Ok(match on.into() {
            Executor::Tx(Tx::Sqlite(tx)) => self.sqlite().fetch_optional(&mut **tx).await?.map(Row::Sqlite),
            Executor::Tx(Tx::Postgres(tx)) => {
                in_time(self.postgres().fetch_optional(&mut **tx)).await?.map(Row::Postgres)
            }
            Executor::Pool(Pool::Sqlite(pool)) => self.sqlite().fetch_optional(pool).await?.map(Row::Sqlite),
            Executor::Pool(Pool::Postgres(pool)) => {
                in_time(self.postgres().fetch_optional(pool)).await?.map(Row::Postgres)
            }
        })
    }

    /// The only row.
    pub(in crate::ledger) async fn one<'t>(self, on: impl Into<Executor<'t>>) -> sqlx::Result<Row> {
        self.optional(on).await?.ok_or(sqlx::Error::RowNotFound)
    }

    /// The first column of the only row.
    pub(in crate::ledger) async fn scalar<'t, T: for<'r> Column<'r>>(
        self,
        on: impl Into<Executor<'t>>,
    ) -> sqlx::Result<T> {
        self.one(on).await?.first()
    }

    fn sqlite(self) -> sqlx::query::Query<'static, Sqlite, sqlx::sqlite::SqliteArguments> {
        // SQLite looks each number up among all that there are: with a thousand values a millisecond
        let numbered = self.text.contains('$');
        let mut query = sqlx::query(text(self.text, &self.pushed, numbered));
        for value in self.values {
            query = match value {
                Value::Int(number) => query.bind(number),
                Value::Text(text) => query.bind(text),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }

    fn postgres(self) -> sqlx::query::Query<'static, Postgres, sqlx::postgres::PgArguments> {
        let mut query = sqlx::query(text(self.text, &self.pushed, true));
        for value in self.values {
            query = match value {
                Value::Int(number) => query.bind(number),
                // PostgreSQL's text takes no NUL
                Value::Text(text) => query.bind(text.map(|text| text.replace('\0', "\u{fffd}"))),
                Value::Bytes(bytes) => query.bind(bytes),
            };
        }
        query
    }
}

/// Behind a network that swallows everything, nothing is heard of the server's own limits.
async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    match timeout(PATIENCE, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(sqlx::Error::Io(io::Error::new(
            io::ErrorKind::TimedOut,
            format!("the database server does not answer for {} s", PATIENCE.as_secs()),
        ))),
    }
}

fn text(text: Cow<'static, str>, pushed: &[usize], numbered: bool) -> SqlStr {
    use sqlx::SqlSafeStr;
    let text = match text {
        Cow::Borrowed(text) => return SqlStr::from_static(text),
        Cow::Owned(text) => text,
    };
    let mut parts = text.split(PUSHED);
    let mut all = parts.next().unwrap_or_default().to_owned();
    for (number, part) in pushed.iter().zip(parts) {
        // writing to a String cannot fail
        let _ = if numbered { write!(all, "${number}") } else { write!(all, "?") };
        all.push_str(part);
    }
    // made of constants and placeholders
    AssertSqlSafe(all).into_sql_str()
}

fn rows<T>(rows: Vec<T>, row: fn(T) -> Row) -> Vec<Row> {
    rows.into_iter().map(row).collect()
}

impl<'t> From<&'t mut Tx> for Executor<'t> {
    fn from(tx: &'t mut Tx) -> Self {
        Executor::Tx(tx)
    }
}

impl<'t> From<&'t Pool> for Executor<'t> {
    fn from(pool: &'t Pool) -> Self {
        Executor::Pool(pool)
    }
}

macro_rules! value {
    ($variant:ident: $($from:ty => $convert:expr),+ $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$variant(Some($convert(value)))
            }
        }

        impl From<Option<$from>> for Value {
            fn from(value: Option<$from>) -> Self {
                Value::$variant(value.map($convert))
            }
        }
    )+};
}

value!(Int: i64 => i64::from, u32 => i64::from, bool => i64::from);
value!(Text: String => String::from, &str => str::to_owned, &String => Clone::clone);
value!(Bytes: &[u8] => <[u8]>::to_vec, Vec<u8> => Vec::from);

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(statement: &Statement) -> [String; 2] {
        let numbered = statement.text.contains('$');
        [numbered, true]
            .map(|numbered| text(statement.text.clone(), &statement.pushed, numbered).as_str().to_owned())
    }

    #[test]
    fn values_that_are_pushed_are_found_by_their_place_or_by_their_number() {
        let mut rows = sql("INSERT INTO t ");
        rows.push_rows([vec![1_i64.into(), 2_i64.into()], vec![3_i64.into(), 4_i64.into()]]);
        let [sqlite, postgres] = texts(&rows);
        assert_eq!(sqlite, "INSERT INTO t VALUES (?, ?), (?, ?)");
        assert_eq!(postgres, "INSERT INTO t VALUES ($1, $2), ($3, $4)");
        let mut mixed = sql("SELECT $1 WHERE id IN (").bind(7_i64);
        mixed.push_list([8_i64, 9]).push(")");
        assert_eq!(texts(&mixed), ["SELECT $1 WHERE id IN ($2, $3)"; 2].map(String::from));
    }
}
