//! A database on the tests' PostgreSQL server, whose clock shows what it is told.

use std::sync::{Arc, Mutex};

use brandpost::domain::clock::ManualClock;
use brandpost::ledger::{Ledger, Location};
use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{Connection, Executor};

use crate::support::postgres::{ROLE, cluster, location, name_of};

/// What the ledger asks for the time shows the simulated one. What a power cut does to the server is not simulated, so
/// nobody needs to wait for its disk.
const SIMULATED_TIME: &str = "
    SET client_min_messages = warning;
    SET search_path = brandpost;
    DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET synchronous_commit = off', current_database()); END $$;
    CREATE SCHEMA simulation;
    CREATE TABLE simulation.clock (now TIMESTAMPTZ NOT NULL);
    INSERT INTO simulation.clock VALUES ('epoch');
    CREATE OR REPLACE FUNCTION brandpost_time(ahead INTERVAL DEFAULT '0') RETURNS TEXT LANGUAGE SQL VOLATILE AS
    $$ SELECT to_char((now + ahead) AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"') FROM simulation.clock $$";

/// Databases that a run has left empty: to make one and drop it has the server write all it has to its disk.
static EMPTY: Mutex<Vec<String>> = Mutex::new(Vec::new());

pub struct Server {
    url: String,
    clock: PgConnection,
}

impl Server {
    pub async fn new(now: Timestamp) -> Self {
        let cluster =
            cluster("simulation").expect("scenarios of several hosts are run where PostgreSQL is installed");
        let left = EMPTY.lock().unwrap().pop();
        let url = left.unwrap_or_else(|| cluster.database());
        let clock = Arc::new(ManualClock::new(now));
        // its schema
        Ledger::open(location(&url, "inbox-0"), clock).await.unwrap().close().await;
        let options =
            PgConnectOptions::new_without_pgpass().socket(&cluster.folder).port(cluster.port).username(ROLE);
        let mut clock = PgConnection::connect_with(&options.database(name_of(&url))).await.unwrap();
        clock.execute(SIMULATED_TIME).await.unwrap();
        let mut server = Self { url, clock };
        server.set_time(now).await;
        server
    }

    pub fn location(&self, inbox: &str) -> Location {
        location(&self.url, inbox)
    }

    pub async fn set_time(&mut self, now: Timestamp) {
        let set = sqlx::query("UPDATE simulation.clock SET now = $1::timestamptz").bind(now.to_string());
        set.execute(&mut self.clock).await.unwrap();
    }

    /// The next run has the database. Connections of a run that failed go with what they have begun.
    pub async fn end(mut self) {
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        self.clock.execute(others).await.unwrap();
        self.clock.execute("DROP SCHEMA brandpost, simulation CASCADE").await.unwrap();
        self.clock.close().await.unwrap();
        EMPTY.lock().unwrap().push(self.url);
    }
}
