//! Moves a ledger from its file to a server: `brandpost database copy`. All or nothing, and every row is read back.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::engine::{Pool, Row, Tx, Value, postgres, sql};
use super::error::{LedgerError, Result};
use super::postgres::Server;
use super::recovery::{INTEGRITY_CHECK, date};
use super::{DaemonLock, Ledger, with_suffix};
use crate::domain::clock::Clock;

/// The tables in an order in which each finds what it refers to, and the key by which their rows are read: a number, `id`,
/// a thousand at a time; anything else all at once.
const TABLES: [(&str, &str); 11] = [
    ("inbox", "id"),
    ("brand", "id"),
    ("upload", "id"),
    ("reserved_slot", "brand_id, slot"),
    ("attempt", "id"),
    ("notice", "name, inbox_id"),
    ("mount_point", "path_bytes"),
    ("reading", "path_bytes"),
    ("alert", "id"),
    ("alert_channel", "channel"),
    ("delivered_notice", "channel, name"),
];

/// Tables whose ids the server counts on.
const NUMBERED: [&str; 4] = ["inbox", "brand", "attempt", "alert"];

const NEXT_UPLOAD: &str = "UPDATE next_upload SET id = (SELECT coalesce(max(id), 0) + 1 FROM upload)";
const ROWS: &str = "SELECT (SELECT count(*) FROM upload) + (SELECT count(*) FROM brand) AS count";
const FORGET_INBOXES: &str = "DELETE FROM inbox";
const NAME_INBOX: &str = "UPDATE inbox SET name = $1, keeper = NULL";
const COLUMNS: &str = "SELECT name, type FROM pragma_table_info($1) ORDER BY cid";

/// So many rows are read at a time,
const READ: i64 = 1000;

/// and written by one statement.
const WRITE: usize = 64;

/// What was moved.
#[derive(Debug)]
pub struct Moved {
    /// So many rows.
    pub rows: usize,
    /// The file's new name, under which no daemon takes it for its database.
    pub old: PathBuf,
}

/// Copies the ledger in a file to an empty database, compares every row, and puts the file aside. No daemon may work with
/// either.
///
/// # Errors
/// When a daemon works with the file, it is damaged, the database holds a ledger already, or either fails; then nothing has
/// changed.
pub async fn copy_to_server(path: &Path, server: &Server, clock: Arc<dyn Clock>) -> Result<Moved> {
    let lock = DaemonLock::take(path).await?;
    if !path.exists() {
        let reason = "there is none; with database.url the daemon makes a new one on the server".into();
        return Err(LedgerError::Open { place: path.display().to_string(), reason, passing: false });
    }
    let file = Ledger::open(path, clock.clone()).await?;
    let moved = copy(&file, server).await;
    file.close().await;
    let old = with_suffix(path, &format!(".copied-{}", date(clock.now())));
    let rows = moved?;
    for end in ["-wal", "-shm", ""] {
        match std::fs::rename(with_suffix(path, end), with_suffix(&old, end)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(LedgerError::Copy(format!(
                    "all rows are on the server, but {} cannot be renamed ({error}): move it away, so that no daemon works with it",
                    path.display()
                )));
            }
            _ => {}
        }
    }
    drop(lock);
    Ok(Moved { rows, old })
}

async fn copy(file: &Ledger, server: &Server) -> Result<usize> {
    let source = file.report().pool();
    // commands, which need no daemon, write nothing meanwhile that would be missing on the server
    let unchanged = file.session.pool.begin(None).await?;
    let verdict: String = sql(INTEGRITY_CHECK).scalar(source).await?;
    if verdict != "ok" {
        return Err(LedgerError::Damaged(verdict));
    }
    let pool = postgres::connect(server, false).await?;
    super::schema::migrate_server(&pool, server).await?;
    let pool = Pool::Postgres(pool);
    let mut tx = pool.begin(None).await?;
    let rows: i64 = sql(ROWS).scalar(&mut tx).await?;
    if rows > 0 {
        return Err(LedgerError::Copy(format!("{server} holds a ledger already; name an empty database")));
    }
    sql(FORGET_INBOXES).execute(&mut tx).await?;
    let mut rows = 0;
    for (table, key) in TABLES {
        rows += Table::new(table, key, source).await?.copy(source, &mut tx).await?;
    }
    for table in NUMBERED {
        let mut next = sql("SELECT setval(pg_get_serial_sequence('");
        next.push(table)
            .push("', 'id'), (SELECT coalesce(max(id), 0) + 1 FROM ")
            .push(table)
            .push("), false)");
        next.execute(&mut tx).await?;
    }
    sql(NEXT_UPLOAD).execute(&mut tx).await?;
    sql(NAME_INBOX).bind(&server.inbox).execute(&mut tx).await?;
    tx.commit().await?;
    pool.close().await;
    unchanged.rollback().await?;
    Ok(rows)
}

/// A table that is copied.
struct Table {
    name: &'static str,
    key: &'static str,
    /// With the word of SQLite for its type.
    columns: Vec<(String, String)>,
}

impl Table {
    async fn new(name: &'static str, key: &'static str, source: &Pool) -> Result<Self> {
        let rows = sql(COLUMNS).bind(name).all(source).await?;
        let columns =
            rows.iter().map(|row| Ok((row.get("name")?, row.get("type")?))).collect::<Result<_>>()?;
        Ok(Self { name, key, columns })
    }

    async fn copy(&self, source: &Pool, tx: &mut Tx) -> Result<usize> {
        let (mut copied, mut after) = (0, i64::MIN);
        loop {
            let rows = self.values(&self.select(after).all(source).await?)?;
            for rows in rows.chunks(WRITE) {
                let mut insert = sql("INSERT INTO ");
                insert.push(self.name).push(" (").push(&self.names()).push(") ");
                insert.push_rows(rows.iter().cloned());
                insert.execute(&mut *tx).await?;
            }
            let there = self.values(&self.select(after).all(&mut *tx).await?)?;
            if there != rows {
                return Err(LedgerError::Copy(format!(
                    "rows of the table {} are not on the server as they are in the file; nothing was copied",
                    self.name
                )));
            }
            copied += rows.len();
            match rows.last().and_then(|row| row.first()) {
                Some(Value::Int(Some(id))) if self.is_numbered() => after = *id,
                _ => return Ok(copied),
            }
        }
    }

    fn is_numbered(&self) -> bool {
        self.key == "id"
    }

    fn select(&self, after: i64) -> super::engine::Statement {
        let mut select = sql("SELECT ");
        select.push(&self.names()).push(" FROM ").push(self.name);
        if self.is_numbered() {
            select.push(" WHERE id > ").push_bind(after);
            select.push(" ORDER BY id LIMIT ").push_bind(READ);
        } else {
            select.push(" ORDER BY ").push(self.key);
        }
        select
    }

    fn names(&self) -> String {
        self.columns.iter().map(|(name, _)| &**name).collect::<Vec<_>>().join(", ")
    }

    fn values(&self, rows: &[Row]) -> Result<Vec<Vec<Value>>> {
        let value = |row: &Row, (name, kind): &(String, String)| {
            Ok(match kind.as_str() {
                "INTEGER" => Value::Int(row.get(name)?),
                "BLOB" => Value::Bytes(row.get(name)?),
                // as a server keeps it
                _ => Value::Text(row.get::<Option<String>>(name)?.map(|text| text.replace('\0', "\u{fffd}"))),
            })
        };
        rows.iter().map(|row| self.columns.iter().map(|column| value(row, column)).collect()).collect()
    }
}
