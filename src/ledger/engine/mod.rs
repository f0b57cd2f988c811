//! The seam between the ledger and its database: SQLite, or PostgreSQL.
//!
//! Statements are written once, in the SQL that both understand, with `$1` placeholders ([`Statement`]). What differs is
//! here: how a connection is opened, a transaction begun, a row read; and, in `sqlite` and `postgres`, what one engine
//! has and the other has not.

pub(super) mod column;
pub(super) mod postgres;
mod schema;
mod socket;
pub(super) mod sqlite;
mod statement;

use crate::domain::brand::InboxId;
use sqlx::{PgPool, Postgres, Sqlite, SqlitePool, Transaction};

pub(super) use column::{Column, Row};
pub(super) use statement::{Statement, Value, sql};

/// Which one it is. Where they differ, most places name all, so that the compiler asks what holds for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Engine {
    /// Do other hosts write to it too?
    pub(super) fn is_shared(self) -> bool {
        match self {
            Engine::Sqlite => false,
            Engine::Postgres => true,
        }
    }
}

/// Connections to the database.
#[derive(Debug, Clone)]
pub(super) enum Pool {
    /// Its file.
    Sqlite(SqlitePool),
    /// Its server.
    Postgres(PgPool),
}

/// A transaction that writes.
#[derive(Debug)]
pub(super) enum Tx {
    /// It holds the file's only write lock from its beginning.
    Sqlite(Transaction<'static, Sqlite>),
    /// It holds the locks of the rows that it has asked for.
    Postgres(Transaction<'static, Postgres>),
}

impl Pool {
    /// Begins a transaction that writes; as the keeper of an inbox, which no other takes over before it has ended.
    pub(super) async fn begin(&self, keeper_of: Option<InboxId>) -> sqlx::Result<Tx> {
        Ok(match self {
            Pool::Sqlite(pool) => Tx::Sqlite(pool.begin_with("BEGIN IMMEDIATE").await?),
            Pool::Postgres(pool) => Tx::Postgres(postgres::begin(pool, keeper_of).await?),
        })
    }

    /// Closes a connection, so that the next one that is needed is opened anew.
    pub(super) async fn close_one(&self) -> sqlx::Result<()> {
        match self {
            Pool::Sqlite(pool) => pool.acquire().await?.close().await,
            Pool::Postgres(pool) => pool.acquire().await?.close().await,
        }
    }

    /// Closes the connections that nobody uses now.
    pub(super) async fn close_idle(&self) {
        // they are given up either way
        match self {
            Pool::Sqlite(pool) => {
                while let Some(connection) = pool.try_acquire() {
                    let _ = connection.close().await;
                }
            }
            Pool::Postgres(pool) => {
                while let Some(connection) = pool.try_acquire() {
                    let _ = connection.close().await;
                }
            }
        }
    }

    /// Closes all connections.
    pub(super) async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Pool::Sqlite(_) => Engine::Sqlite,
            Pool::Postgres(_) => Engine::Postgres,
        }
    }

    /// The connections to the file, if the database is one.
    pub(super) fn sqlite(&self) -> Option<&SqlitePool> {
        match self {
            Pool::Sqlite(pool) => Some(pool),
            Pool::Postgres(_) => None,
        }
    }
}

impl Tx {
    pub(super) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Tx::Sqlite(tx) => tx.commit().await,
            Tx::Postgres(tx) => tx.commit().await,
        }
    }

    pub(super) async fn rollback(self) -> sqlx::Result<()> {
        match self {
            Tx::Sqlite(tx) => tx.rollback().await,
            Tx::Postgres(tx) => tx.rollback().await,
        }
    }

    pub(super) fn engine(&self) -> Engine {
        match self {
            Tx::Sqlite(_) => Engine::Sqlite,
            Tx::Postgres(_) => Engine::Postgres,
        }
    }
}
