//! PostgreSQL: a server that several hosts share.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool, Postgres, Row, Transaction};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::{schema, socket};
use crate::domain::brand::InboxId;
use crate::domain::text::visible;
use crate::ledger::error::{LedgerError, Result};

/// The oldest version, as the server numbers it.
const OLDEST: i64 = 140_000;

/// How long a statement waits for a lock, and may take; how long a transaction may do nothing. Milliseconds: the server
/// ends what takes longer.
const SETTINGS: [(&str, &str); 4] = [
    ("client_min_messages", "warning"),
    ("lock_timeout", "5000"),
    ("statement_timeout", "20000"),
    ("idle_in_transaction_session_timeout", "20000"),
];

/// Names without a schema mean what is in ours, or PostgreSQL's own: in `public` others may have functions and tables whose
/// names are those of ours.
const SEARCH_PATH: (&str, &str) = ("search_path", "brandpost,pg_temp");

/// Before it is known who else has a say in our schema, nothing of it is called.
const NOTHING_OF_OURS: (&str, &str) = ("search_path", "pg_catalog,pg_temp");

/// How long a statement may take with the way there and back; behind a network that swallows everything, the server's
/// limits are not heard of.
pub(in crate::ledger) const PATIENCE: Duration = Duration::from_secs(25);

/// How long it may take to get a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Variables that libpq's programs obey, and whose effect cannot be taken back here.
const FOREIGN: [&str; 4] = ["PGOPTIONS", "PGSSLCERT", "PGSSLKEY", "PGSSLROOTCERT"];

/// The channel on which hosts tell each other that something was written which the others must know.
const CHANNEL: &str = "brandpost";

/// Where the database is, and as whom it is used.
#[derive(Clone)]
pub struct Server {
    /// Its name or address; a folder: the one with its Unix socket.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role.
    pub user: String,
    /// The database on it.
    pub database: String,
    /// The role's password.
    pub password: Option<Zeroizing<String>>,
    /// More certificates that are trusted, PEM.
    pub ca_file: Option<PathBuf>,
    /// The name of this host's inbox.
    pub inbox: String,
}

impl Server {
    fn is_local(&self) -> bool {
        self.host.starts_with('/')
    }

    fn options(&self) -> PgConnectOptions {
        let mut options = PgConnectOptions::new_without_pgpass()
            .port(self.port)
            .username(&self.user)
            .database(&self.database)
            // without one, that of PGPASSWORD would count
            .password(self.password.as_deref().map_or("", |password| password))
            .application_name("brandpost")
            .options(SETTINGS)
            .disable_statement_logging();
        options = match self.is_local() {
            true => options.host(&self.host).socket(&self.host).ssl_mode(PgSslMode::Disable),
            false => options.host(&self.host).ssl_mode(PgSslMode::VerifyFull),
        };
        match &self.ca_file {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, user, database, .. } = self;
        match self.is_local() {
            true => write!(f, "{database} at the socket in {host} (port {port}, role {user})"),
            false => write!(f, "postgres://{user}@{host}:{port}/{database}"),
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({self}, inbox {})", self.inbox)
    }
}

/// Makes connections: one that writes, or three that read (one of them hears what other hosts say).
pub(in crate::ledger) async fn connect(server: &Server, read_only: bool) -> Result<PgPool> {
    if let Some(name) = FOREIGN.iter().find(|name| std::env::var_os(name).is_some()) {
        let reason =
            format!("the environment has {name}, which brandpost does not obey and cannot ignore; unset it");
        return Err(LedgerError::Open { place: server.to_string(), reason, passing: false });
    }
    if server.is_local() {
        socket::check(Path::new(&server.host)).map_err(|reason| refused(server, reason))?;
    }
    let pool = PgPoolOptions::new()
        .max_connections(if read_only { 3 } else { 1 })
        .max_lifetime(None)
        .acquire_timeout(CONNECT)
        .acquire_slow_threshold(Duration::from_hours(1))
        // a connection that broke is found out by the statement that uses it
        .test_before_acquire(false);
    let options = server.options();
    let options =
        if read_only { options.options([("default_transaction_read_only", "on")]) } else { options };
    // a pool tries again and again, and says in the end that it took too long
    let first = options.clone().options([NOTHING_OF_OURS]);
    let first = timeout(CONNECT, first.connect()).await.unwrap_or(Err(sqlx::Error::PoolTimedOut));
    let mut first = first.map_err(|error| opening(server, &error))?;
    check(server, &mut first).await?;
    let others = schema::prepare(&mut first, read_only).await.map_err(|error| opening(server, &error))?;
    if let Some(reason) = others {
        return Err(refused(server, visible(&reason)));
    }
    // the server forgets it if it hears nothing of it
    let _ = first.close().await;
    Ok(pool.connect_lazy_with(options.options([SEARCH_PATH])))
}

async fn check(server: &Server, connection: &mut PgConnection) -> Result<()> {
    let row = sqlx::query("SELECT current_setting('server_version_num')::bigint AS number, current_setting('server_version') AS version, current_setting('server_encoding') AS encoding, current_setting('search_path') AS path")
        .fetch_one(connection)
        .await
        .map_err(|error| opening(server, &error))?;
    let (number, version): (i64, String) = (row.try_get("number")?, row.try_get("version")?);
    let encoding: String = row.try_get("encoding")?;
    if number < OLDEST {
        return Err(refused(server, format!("PostgreSQL {version} is too old; brandpost needs 14 or newer")));
    }
    if encoding != "UTF8" {
        let reason = format!("the database's encoding is {encoding}; make one with ENCODING 'UTF8'");
        return Err(refused(server, reason));
    }
    if row.try_get::<String, _>("path")? != NOTHING_OF_OURS.1 {
        let reason = "the session does not get the settings that it asks for; a pooler in between must pass on `options` (PgBouncer: not in ignore_startup_parameters)";
        return Err(refused(server, reason.into()));
    }
    Ok(())
}

/// The server cannot be used, and that does not pass by itself.
fn refused(server: &Server, reason: String) -> LedgerError {
    LedgerError::Open { place: server.to_string(), reason, passing: false }
}

/// What is wrong with a server that cannot be used, and what to do. Codes:
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
pub(in crate::ledger) fn opening(server: &Server, error: &sqlx::Error) -> LedgerError {
    let code = state(error).unwrap_or_default();
    let open =
        |reason: String, passing: bool| LedgerError::Open { place: server.to_string(), reason, passing };
    match &*code {
        "28P01" | "28000" => open(
            "the server does not accept the role or its password; set database.password_file, or the role in database.url, and look at pg_hba.conf".into(),
            false,
        ),
        "42P01" => LedgerError::NoneYet(server.to_string()),
        "3D000" => open(format!("there is no database {}; make it (createdb), or correct database.url", server.database), false),
        "42501" => open(format!("the role {} lacks a right: {}; make it the owner of the database", server.user, message(error)), false),
        "" => match error {
            error if is_about_certificates(error) => open(format!("the connection cannot be secured: {}; the server needs a certificate for the name in database.url (network.ca_file trusts another authority)", message(error)), false),
            sqlx::Error::Configuration(error) => open(format!("{}; correct database.url, or the certificates", visible(&error.to_string())), false),
            sqlx::Error::PoolTimedOut => open("the server does not answer; is database.url right, and does a firewall let it through?".into(), true),
            sqlx::Error::Io(error) => open(format!("the server cannot be reached: {error}; is it running, and is database.url right?"), true),
            _ => open(format!("{}; is this a PostgreSQL server that speaks TLS?", message(error)), false),
        },
        _ => open(format!("{}; see the server's log", message(error)), is_transient(&code)),
    }
}

/// What rustls finds arrives as an error of the connection.
fn is_about_certificates(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Tls(_) => true,
        sqlx::Error::Io(error) => {
            matches!(error.get_ref(), Some(cause) if cause.is::<rustls::Error>())
        }
        _ => false,
    }
}

/// PostgreSQL's code of an error, if it is one of its own.
pub(in crate::ledger) fn state(error: &sqlx::Error) -> Option<String> {
    let sqlx::Error::Database(error) = error else { return None };
    let error = error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>()?;
    Some(error.code().to_owned())
}

/// What the server says. Others choose names that it repeats.
pub(in crate::ledger) fn message(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(error) => visible(error.message()),
        other => visible(&other.to_string()),
    }
}

/// Does what a code says pass by itself? Connections that broke, a server that stops, starts, is a standby or has no
/// more room, locks that were not to be had, transactions that were in each other's way.
pub(in crate::ledger) fn is_transient(code: &str) -> bool {
    const PASSING: [&str; 11] =
        ["40001", "40P01", "55P03", "57014", "57P01", "57P02", "57P03", "25006", "25P02", "25P03", "58030"];
    code.starts_with("08") || code.starts_with("53") || PASSING.contains(&code)
}

/// Begins a transaction. The keeper of an inbox holds its row, so that nobody takes it over before the transaction has
/// ended: what is written in it is written before that, or not at all. A row can be locked by those alone who may write it,
/// an advisory lock by everybody. The lease can be renewed meanwhile: that is no change of a key.
pub(super) async fn begin(
    pool: &PgPool,
    keeper_of: Option<InboxId>,
) -> sqlx::Result<Transaction<'static, Postgres>> {
    match keeper_of {
        None => pool.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await,
        Some(inbox) => {
            let id = inbox.0;
            let begin = format!(
                "BEGIN ISOLATION LEVEL READ COMMITTED; SELECT 1 FROM inbox WHERE id = {id} FOR KEY SHARE"
            );
            pool.begin_with(sqlx::AssertSqlSafe(begin)).await
        }
    }
}

/// Waits until no transaction of the keeper of an inbox is under way, and keeps new ones from beginning.
pub(in crate::ledger) const TAKE_OVER: &str = "SELECT 1 FROM inbox WHERE id = $1 FOR UPDATE";

/// At its commit a NOTIFY waits for those of all other transactions of the server, whichever database and role they are of;
/// not for long.
const NOTIFY: &str = "
    BEGIN;
    SET LOCAL lock_timeout = '300ms';
    SELECT pg_notify('brandpost'::text, ''::text);
    COMMIT";

/// Lets the other hosts know that they have something to look at: after what they are told of, for nothing may depend on it.
pub(in crate::ledger) async fn notify(pool: &PgPool) -> sqlx::Result<()> {
    sqlx::raw_sql(NOTIFY).execute(pool).await.map(drop)
}

/// Hears of what other hosts notify of.
pub(in crate::ledger) async fn listen(pool: &PgPool) -> sqlx::Result<PgListener> {
    let mut listener = PgListener::connect_with(pool).await?;
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
