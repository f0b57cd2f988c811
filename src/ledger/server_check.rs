//! What `brandpost check` wants to know of a server.

use jiff::Timestamp;

use super::engine::{Pool, postgres, sql};
use super::error::Result;
use super::postgres::Server;
use crate::domain::text::visible;

const SETTINGS: &str = "
    SELECT current_setting('server_version') AS version, current_setting('synchronous_commit') AS synchronous,
           current_setting('fsync') AS fsync, current_setting('max_connections')::bigint AS connections,
           to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') AS now,
           pg_is_in_recovery() AS standby, to_regclass('brandpost.inbox') IS NOT NULL AS made,
           has_database_privilege('public', current_database(), 'CONNECT, TEMPORARY') AS open,
           quote_ident(current_database()) AS database";

const INBOXES: &str = "
    SELECT name, host, seen_at, slots_total, CASE WHEN lease_until > brandpost_time() THEN 1 ELSE 0 END AS kept
    FROM inbox WHERE retired_at IS NULL ORDER BY name";

/// How many connections a daemon has.
const CONNECTIONS: i64 = 4;

/// A clock that is further off is worth a word: signatures need it within 15 minutes.
const CLOCK_OFF: i64 = 60;

/// What was found.
#[derive(Debug, Default)]
pub struct ServerFindings {
    /// What is as it should be.
    pub good: Vec<String>,
    /// What works, and should not stay so.
    pub weak: Vec<String>,
    /// What is to be mended, and how.
    pub wrong: Vec<String>,
}

/// Looks at a server, and at the hosts that share it.
///
/// # Errors
/// When it cannot be used.
pub async fn check_server(server: &Server, now: Timestamp) -> Result<ServerFindings> {
    let pool = Pool::Postgres(postgres::connect(server, true).await?);
    let mut found = ServerFindings::default();
    let row = sql(SETTINGS).one(&pool).await?;
    found.good.push(format!("PostgreSQL {}", row.get::<&str>("version")?));
    for (setting, name) in [("synchronous", "synchronous_commit"), ("fsync", "fsync")] {
        if row.get::<&str>(setting)? == "off" {
            found.wrong.push(format!(
                "{name} is off: what was acknowledged may be lost with the server, and pictures be sent twice; turn it on"
            ));
        }
    }
    if row.get("standby")? {
        found
            .wrong
            .push("it is a standby, which cannot be written; database.url must name the primary".into());
    }
    if row.get("open")? {
        found.weak.push(format!(
            "every role of the server may connect to the database, and can fill its disk and disturb its hosts: REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC",
            visible(row.get("database")?)
        ));
    }
    let database: Option<Timestamp> = row.get::<&str>("now")?.parse().ok();
    let off = database.map_or(0, |database| database.duration_since(now).as_secs());
    if off.abs() > CLOCK_OFF {
        found.wrong.push(format!("its clock and this host's differ by {} s; set both by NTP", off.abs()));
    }
    if row.get("made")? {
        inboxes(&pool, server, row.get("connections")?, &mut found).await?;
    } else {
        found.good.push("the tables will be made at the first start".into());
    }
    pool.close().await;
    Ok(found)
}

async fn inboxes(pool: &Pool, server: &Server, connections: i64, found: &mut ServerFindings) -> Result<()> {
    let rows = sql(INBOXES).all(pool).await?;
    let hosts = i64::try_from(rows.len()).unwrap_or(i64::MAX).saturating_add(1);
    if hosts.saturating_mul(CONNECTIONS) > connections {
        found.wrong.push(format!(
            "max_connections = {connections} is too little for {hosts} hosts with {CONNECTIONS} connections each"
        ));
    }
    for row in rows {
        let (name, host): (&str, &str) = (row.get("name")?, row.get("host")?);
        let seen = row.get::<Option<&str>>("seen_at")?.unwrap_or("never");
        let name = if name == server.inbox { format!("{name} (this host's inbox)") } else { name.to_owned() };
        found.good.push(match row.get("kept")? {
            true => format!("inbox {name} is kept by {host}"),
            false => format!("inbox {name} has no keeper, last seen {seen}"),
        });
    }
    Ok(())
}
