//! The migrations, compiled in.

use std::path::Path;

use sqlx::SqlitePool;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::error::Result;
use super::with_suffix;

/// Number, name, SQL.
type Step = (i64, &'static str, &'static str);

const MIGRATIONS: &[Step] = &[(1, "ledger", include_str!("../../migrations/0001_ledger.sql"))];

/// Brings the database to the newest schema. One that an older version made is copied first, beside it.
pub(super) async fn migrate(pool: &SqlitePool, path: &Path) -> Result<()> {
    migrate_to(pool, path, MIGRATIONS).await
}

async fn migrate_to(pool: &SqlitePool, path: &Path, migrations: &'static [Step]) -> Result<()> {
    let migration = |(version, name, sql): &Step| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    let newest = migrations.last().map_or(0, |(version, ..)| *version);
    let now = version(pool).await?;
    if (1..newest).contains(&now) {
        keep(pool, &with_suffix(path, &format!(".before-{newest}"))).await?;
    }
    let migrator = Migrator::with_migrations(migrations.iter().map(migration).collect());
    Ok(migrator.run(pool).await?)
}

/// The number of the last migration that was applied; 0: none.
async fn version(pool: &SqlitePool) -> Result<i64> {
    let any: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(pool)
        .await?;
    if any == 0 {
        return Ok(0);
    }
    Ok(sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations").fetch_one(pool).await?)
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
        SqlitePool::connect_with(super::super::options(path).create_if_missing(true)).await.unwrap()
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
}
