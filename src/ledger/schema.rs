//! The migrations, compiled in.

use sqlx::SqlitePool;
use sqlx::migrate::{Migration, MigrationType, Migrator};

use super::error::Result;

const MIGRATIONS: &[(i64, &str, &str)] = &[(1, "ledger", include_str!("../../migrations/0001_ledger.sql"))];

/// Brings the database to the newest schema.
pub(super) async fn migrate(pool: &SqlitePool) -> Result<()> {
    let migration = |(version, name, sql): &(i64, &'static str, &'static str)| {
        let sql = sqlx::SqlStr::from_static(sql);
        Migration::new(*version, (*name).into(), MigrationType::Simple, sql, false)
    };
    let migrator = Migrator::with_migrations(MIGRATIONS.iter().map(migration).collect());
    Ok(migrator.run(pool).await?)
}
