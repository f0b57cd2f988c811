//! The migrations, compiled in: the same numbers for both engines.

use std::path::Path;

use sqlx::migrate::{Migration, MigrationType, Migrator};
use sqlx::{PgPool, SqlitePool};

use super::engine::postgres::{self, Server};
use super::error::{LedgerError, Result};
use super::with_suffix;

/// Number, name, SQL.
type Step = (i64, &'static str, &'static str);

const SQLITE: &[Step] = &[(1, "ledger", include_str!("../../migrations/sqlite/0001_ledger.sql"))];

const POSTGRES: &[Step] = &[(1, "ledger", include_str!("../../migrations/postgres/0001_ledger.sql"))];

const VERSION: &str = "SELECT coalesce(max(version), 0) FROM _sqlx_migrations";
const OLDEST: &str = "SELECT oldest_migration FROM compatibility";
const HAS_MIGRATIONS: &str = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";

const HAS_MIGRATIONS_POSTGRES: &str = "
    SELECT count(*) FILTER (WHERE tablename IN ('_sqlx_migrations', 'compatibility')) AS ours, count(*) AS tables
    FROM pg_catalog.pg_tables WHERE schemaname = 'brandpost'";

/// Daemons that start at a time migrate one after the other: only its owner can hold on to a schema, and before the first
/// migration there is nothing else.
const LOCK: &str = "COMMENT ON SCHEMA brandpost IS 'what brandpost knows of brands and their pictures'";

/// Brings the file to the newest schema. One that an older version made is copied first, beside it.
pub(super) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<()> {
    migrate_to(pool, path, SQLITE).await
}

async fn migrate_to(pool: &SqlitePool, path: &Path, migrations: &'static [Step]) -> Result<()> {
    let now = version(pool).await?;
    if now > newest(migrations) {
        let oldest: i64 = sqlx::query_scalar(OLDEST).fetch_one(pool).await?;
        return check_compatible(&path.display().to_string(), now, oldest, newest(migrations));
    }
    if (1..newest(migrations)).contains(&now) {
        keep(pool, &with_suffix(path, &format!(".before-{}", newest(migrations)))).await?;
    }
    Ok(migrator(migrations).run(pool).await?)
}

/// Brings the database on a server to the newest schema, in one transaction.
pub(super) async fn migrate_server(pool: &PgPool, server: &Server) -> Result<()> {
    let cannot = |error: sqlx::Error| postgres::opening(server, &error);
    let mut tx = pool.begin().await.map_err(cannot)?;
    sqlx::query(LOCK).execute(&mut *tx).await.map_err(cannot)?;
    let (ours, tables): (i64, i64) =
        sqlx::query_as(HAS_MIGRATIONS_POSTGRES).fetch_one(&mut *tx).await.map_err(cannot)?;
    if tables > 0 && ours < 2 {
        let reason =
            "its schema brandpost holds tables of something else; give brandpost a database of its own (createdb)".into();
        return Err(LedgerError::Open { place: server.to_string(), reason, passing: false });
    }
    if tables > 0 {
        let now: i64 = sqlx::query_scalar(VERSION).fetch_one(&mut *tx).await?;
        if now > newest(POSTGRES) {
            let oldest: i64 = sqlx::query_scalar(OLDEST).fetch_one(&mut *tx).await?;
            return check_compatible(&server.to_string(), now, oldest, newest(POSTGRES));
        }
    }
    let mut migrator = migrator(POSTGRES);
    // the lock above ends with the transaction, however that ends
    migrator.set_locking(false);
    migrator.run_direct(None, &mut *tx, false).await.map_err(|error| match LedgerError::from(error) {
        LedgerError::Sql(error) => cannot(error),
        other => other,
    })?;
    Ok(tx.commit().await?)
}

/// A newer version made the schema. It says which older ones may still work with it.
fn check_compatible(place: &str, now: i64, oldest: i64, ours: i64) -> Result<()> {
    if oldest <= ours {
        return Ok(());
    }
    let reason = format!(
        "a newer brandpost has changed it (schema {now}, this version knows {ours}); install that version here too"
    );
    Err(LedgerError::Open { place: place.into(), reason, passing: false })
}

fn newest(migrations: &[Step]) -> i64 {
    migrations.last().map_or(0, |(version, ..)| *version)
}

fn migrator(migrations: &'static [Step]) -> Migrator {
    let migration = |(version, name, sql): &Step| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    Migrator::with_migrations(migrations.iter().map(migration).collect())
}

/// The number of the last migration that was applied; 0: none.
async fn version(pool: &SqlitePool) -> Result<i64> {
    let any: i64 = sqlx::query_scalar(HAS_MIGRATIONS).fetch_one(pool).await?;
    if any == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar(VERSION).fetch_one(pool).await?)
}

/// A copy that is there already is from an attempt that broke off: that one is as good.
async fn keep(pool: &SqlitePool, copy: &Path) -> Result<()> {
    if copy.exists() {
        return Ok(());
    }
    let unfinished = with_suffix(copy, ".part");
    let _ = std::fs::remove_file(&unfinished);
    super::copy::copy(pool, &unfinished).await?;
    std::fs::rename(&unfinished, copy).map_err(sqlx::Error::Io)?;
    tracing::info!(copy = %copy.display(), "the database is from an older version: it is kept there, and brought up to date");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Step = (1, "first", "CREATE TABLE a (x INTEGER)");
    const NEXT: &[Step] = &[FIRST, (2, "second", "ALTER TABLE a ADD COLUMN y INTEGER")];

    async fn pool(path: &Path) -> SqlitePool {
        SqlitePool::connect_with(super::super::engine::sqlite::options(path).create_if_missing(true))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn what_an_older_version_made_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (path, copy) = (folder.path().join("x.db"), folder.path().join("x.db.before-2"));
        let old = pool(&path).await;
        migrate_to(&old, &path, &[FIRST]).await.unwrap();
        sqlx::query("INSERT INTO a VALUES (7)").execute(&old).await.unwrap();
        assert!(!copy.exists(), "a new database has nothing to lose");
        migrate_to(&old, &path, NEXT).await.unwrap();
        migrate_to(&old, &path, NEXT).await.unwrap();
        assert_eq!((version(&old).await.unwrap(), version(&pool(&copy).await).await.unwrap()), (2, 1));
        let kept: i64 = sqlx::query_scalar("SELECT x FROM a").fetch_one(&pool(&copy).await).await.unwrap();
        assert_eq!(kept, 7);
    }

    #[test]
    fn an_older_version_goes_on_for_as_long_as_the_schema_says_so() {
        assert!(check_compatible("x.db", 3, 2, 2).is_ok());
        let refused = check_compatible("x.db", 3, 3, 2).unwrap_err().to_string();
        assert!(refused.contains("schema 3") && refused.contains("x.db"), "{refused}");
    }
}
