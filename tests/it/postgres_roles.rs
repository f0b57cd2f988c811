//! Other roles of a PostgreSQL server that is shared: what they may do by default must not reach us.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use brandpost::domain::clock::SystemClock;
use brandpost::domain::notice::NoticeName;
use brandpost::domain::upload::State;
use brandpost::ledger::{DaemonLock, Host, Ledger, LedgerError, Report, Started};
use tempfile::TempDir;

use crate::support::pictures::jpg;
use crate::support::postgres::{Cluster, cluster, location, name_of};
use crate::support::process::Process;
use crate::support::{Bench, OWN, in_inbox, write_private};

/// The service's user.
const SERVICE: u32 = 47_110;

/// A database as PostgreSQL 14 makes it, where everybody may create in `public`, and a role that may no more than connect.
struct Shared {
    cluster: &'static Cluster,
    url: String,
    evil: String,
    folder: TempDir,
}

impl Shared {
    fn new(test: &str) -> Option<Self> {
        static ROLES: AtomicU32 = AtomicU32::new(0);
        let cluster = cluster(&format!("postgres_roles::{test}"))?;
        let url = cluster.database();
        let evil = format!("evil_{}_{}", std::process::id(), ROLES.fetch_add(1, Ordering::Relaxed));
        cluster.run(name_of(&url), &format!("CREATE ROLE {evil} LOGIN"));
        let name = name_of(&url);
        cluster.run(name, &format!("GRANT CONNECT, TEMPORARY ON DATABASE {name} TO PUBLIC"));
        cluster.run(name, "GRANT CREATE ON SCHEMA public TO PUBLIC");
        Some(Self { cluster, url, evil, folder: tempfile::tempdir().unwrap() })
    }

    fn ours(&self, sql: &str) -> String {
        self.cluster.run(name_of(&self.url), sql)
    }

    fn theirs(&self, sql: &str) {
        self.cluster.run_as(&self.evil, name_of(&self.url), sql);
    }

    async fn start(&self) -> Result<Ledger, LedgerError> {
        let lock = DaemonLock::take(&self.folder.path().join("x.db")).await.unwrap();
        let host = Host::new("hz-1".into(), lock.identity().unwrap(), 10);
        let place = location(&self.url, "hz-1");
        Ledger::start(&place, Arc::new(SystemClock), &lock, &host).await.map(|Started { ledger, .. }| ledger)
    }

    /// Neither the daemon nor a command works with it, for this reason.
    async fn is_refused(&self, reason: &str) {
        let reason = reason.replace("EVIL", &self.evil);
        for error in [
            self.start().await.unwrap_err(),
            Report::open(location(&self.url, "hz-1")).await.map(drop).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(text.contains(&reason), "{text}");
            assert!(!error.is_transient(), "{text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_create_in_public_is_not_called() {
    let Some(shared) = Shared::new("what_others_create_in_public_is_not_called") else { return };
    let evil = &shared.evil;
    // an exact match wins over one that needs a conversion, in whichever schema it is
    for function in ["brandpost_time(text)", "pg_notify(text, text)"] {
        shared.theirs(&format!(
            "CREATE FUNCTION public.{function} RETURNS text LANGUAGE plpgsql AS $$ BEGIN
                 EXECUTE 'CREATE TABLE public.called_' || substr(md5(random()::text), 1, 8) || ' (x INT)';
                 EXECUTE 'GRANT ALL ON ALL TABLES IN SCHEMA ' || current_schema() || ' TO {evil}';
                 RETURN to_char(clock_timestamp() + interval '30 seconds', 'YYYY-MM-DD\"T\"HH24:MI:SS.MS\"Z\"');
             END $$"
        ));
    }
    shared.theirs("CREATE TABLE public.inbox (id BIGINT)");
    let ledger = shared.start().await.unwrap();
    ledger.register(&[(OWN.parse().unwrap(), 10)]).await.unwrap();
    ledger.renew_lease().await.unwrap();
    ledger.close().await;
    let reach = shared.ours(&format!(
        "SELECT count(*) FROM pg_class WHERE relname LIKE 'called%'
         UNION ALL SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname IN ('public', 'brandpost') AND relkind IN ('r', 'v') AND relowner <> '{evil}'::regrole
           AND has_table_privilege('{evil}', c.oid, 'SELECT, INSERT, UPDATE, DELETE')"
    ));
    assert_eq!(reach, "0\n0");
    assert_eq!(shared.ours("SELECT count(*) FROM brandpost.upload_status"), "0");
    assert_eq!(shared.ours("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_in_which_others_have_a_say_is_refused() {
    let Some(shared) = Shared::new("a_schema_in_which_others_have_a_say_is_refused") else { return };
    let (database, evil) = (name_of(&shared.url), &shared.evil);
    shared.ours(&format!("GRANT CREATE ON DATABASE {database} TO {evil}"));
    shared.theirs("CREATE SCHEMA brandpost");
    shared.is_refused("the schema brandpost belongs to the role EVIL").await;
    shared.theirs("DROP SCHEMA brandpost");
    shared.start().await.unwrap().close().await;

    let table = [
        ("GRANT CREATE ON SCHEMA brandpost TO EVIL", "the role EVIL may create objects", "REVOKE CREATE ON SCHEMA brandpost FROM EVIL"),
        ("GRANT CREATE ON SCHEMA brandpost TO PUBLIC", "everybody may create objects", "REVOKE CREATE ON SCHEMA brandpost FROM PUBLIC"),
        ("GRANT TRIGGER ON brandpost.upload TO EVIL", "the role EVIL may add triggers to brandpost.upload", "REVOKE TRIGGER ON brandpost.upload FROM EVIL"),
        (
            "CREATE FUNCTION brandpost.brandpost_time(TEXT) RETURNS TEXT LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION brandpost.brandpost_time(TEXT) OWNER TO EVIL",
            "brandpost.brandpost_time belongs to the role EVIL",
            "DROP FUNCTION brandpost.brandpost_time(TEXT)",
        ),
        (
            "CREATE FUNCTION public.theirs() RETURNS TRIGGER LANGUAGE plpgsql AS 'BEGIN RETURN new; END'; ALTER FUNCTION public.theirs() OWNER TO EVIL;
             CREATE TRIGGER theirs BEFORE INSERT ON brandpost.upload FOR EACH ROW EXECUTE FUNCTION public.theirs()",
            "the trigger theirs of brandpost.upload calls a function of the role EVIL",
            "DROP TRIGGER theirs ON brandpost.upload",
        ),
        (
            "CREATE FUNCTION brandpost.\"\u{1b}[2J\"() RETURNS TEXT LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION brandpost.\"\u{1b}[2J\"() OWNER TO EVIL",
            "brandpost.\"\\u{1b}[2J\" belongs to the role EVIL",
            "DROP FUNCTION brandpost.\"\u{1b}[2J\"()",
        ),
        ("ALTER TABLE brandpost.alert OWNER TO EVIL", "brandpost.alert belongs to the role EVIL", "ALTER TABLE brandpost.alert OWNER TO brandpost"),
    ];
    for (grant, reason, revoke) in table {
        shared.ours(&grant.replace("EVIL", evil));
        shared.is_refused(reason).await;
        shared.ours(&revoke.replace("EVIL", evil));
        shared.start().await.unwrap().close().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_start_at_a_time_make_one_schema() {
    let Some(shared) = Shared::new("hosts_that_start_at_a_time_make_one_schema") else { return };
    let open = |number: u32| {
        let place = location(&shared.url, &format!("hz-{number}"));
        async move { Ledger::open(place, Arc::new(SystemClock)).await.map(drop) }
    };
    let opened =
        tokio::time::timeout(Duration::from_secs(30), futures_util::future::join_all((0..8).map(open)));
    for result in opened.await.unwrap() {
        result.unwrap();
    }
}

/// Every role that may connect can notify. What it notifies of is not kept, and the hosts work on.
#[tokio::test(flavor = "multi_thread")]
async fn notifications_of_others_do_not_fill_the_memory() {
    let Some(shared) = Shared::new("notifications_of_others_do_not_fill_the_memory") else { return };
    let mut bench = Bench::new().await;
    bench.server = Some(shared.url.clone());
    bench.configure(&in_inbox("hz-1"));
    let daemon = Process::start(&bench);
    bench.drop_file(OWN, "1.jpg", &jpg(1));
    until_uploaded(&bench, 1).await;
    let before = resident_mib(&daemon);
    let flood = "DO $$ BEGIN FOR number IN 1..400 LOOP
                     PERFORM pg_notify('brandpost', number || repeat('x', 7000));
                 END LOOP; END $$;";
    // longer than it takes until the connection would be asked whether it still hears
    let end = std::time::Instant::now() + Duration::from_secs(8);
    let (cluster, database, evil) = (shared.cluster, name_of(&shared.url).to_owned(), shared.evil.clone());
    let flooding = tokio::task::spawn_blocking(move || {
        while std::time::Instant::now() < end {
            cluster.run_as(&evil, &database, &flood.repeat(20));
        }
    });
    bench.drop_file(OWN, "2.jpg", &jpg(2));
    until_uploaded(&bench, 2).await;
    flooding.await.unwrap();
    let grown = resident_mib(&daemon).saturating_sub(before);
    println!("after the flood: {grown} MiB more than {before} MiB");
    assert!(grown < 40, "{grown} MiB more than {before} MiB");
    let log = std::fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap();
    assert!(log.contains("another role notifies the channel brandpost all the time"), "{log}");
    daemon.kill();
}

fn resident_mib(daemon: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() / 1024
}

async fn until_uploaded(bench: &Bench, count: u64) {
    let end = tokio::time::Instant::now() + Duration::from_secs(30);
    while bench.counts_so_far().await.of(State::Uploaded) < count {
        assert!(tokio::time::Instant::now() < end, "waited in vain for {count} files");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every role that may connect can take advisory locks.
#[tokio::test(flavor = "multi_thread")]
async fn locks_of_others_stop_nobody() {
    let Some(shared) = Shared::new("locks_of_others_stop_nobody") else { return };
    let (cluster, database, evil) = (shared.cluster, name_of(&shared.url).to_owned(), shared.evil.clone());
    let holding = tokio::task::spawn_blocking(move || {
        cluster.run_as(
            &evil,
            &database,
            "SELECT pg_advisory_lock(a, b) FROM generate_series(2093, 2096) a, generate_series(0, 100) b;
             CREATE TABLE public.held (); SELECT pg_sleep(8)",
        )
    });
    let end = tokio::time::Instant::now() + Duration::from_secs(5);
    while shared.ours("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 2095 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == "0" {
        assert!(tokio::time::Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let ledger = shared.start().await.unwrap();
    ledger.register(&[(OWN.parse().unwrap(), 10)]).await.unwrap();
    ledger.set_notice(NoticeName::Root, "it is not there").await.unwrap();
    ledger.renew_lease().await.unwrap();
    assert!(!holding.is_finished(), "the locks were held meanwhile");
    ledger.close().await;
}

/// The page of a daemon that stands by can write, which makes it no keeper.
#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_that_stands_by_says_so_also_after_a_write() {
    let Some(shared) = Shared::new("a_daemon_that_stands_by_says_so_also_after_a_write") else { return };
    let standby = Ledger::open(location(&shared.url, "hz-1"), Arc::new(SystemClock)).await.unwrap();
    standby.stand_by(&LedgerError::Inbox("another one keeps it".into()));
    standby.set_notice(NoticeName::Suspended, "paused").await.unwrap();
    assert_eq!(standby.current_problem().as_deref(), Some("another one keeps it"));
    standby.close().await;
}

/// Root's commands work as the service's user, who cannot read the password that the unit hands over.
#[tokio::test(flavor = "multi_thread")]
async fn commands_of_root_know_a_password_that_is_roots_alone() {
    let this = "commands_of_root_know_a_password_that_is_roots_alone";
    let Some(shared) = Shared::new(this) else { return };
    if !rustix::process::geteuid().is_root() {
        eprintln!("\n***** SKIPPED, because it needs root: postgres_roles::{this} *****\n");
        return;
    }
    shared.start().await.unwrap().close().await;
    shared.ours("ALTER ROLE brandpost PASSWORD 'right-horse'");
    let mut bench = Bench::new().await;
    bench.server = None;
    let folder = bench.folder.path();
    for (path, mode, owner) in [(folder.to_owned(), 0o755, SERVICE), (folder.join("ca.pem"), 0o644, 0)] {
        if !path.exists() {
            std::fs::copy(shared.cluster.folder.join("ca.pem"), &path).unwrap();
        }
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        chown(&path, Some(owner), Some(owner)).unwrap();
    }
    let password = folder.join("password");
    write_private(&password, "right-horse");
    let (port, name) = (shared.cluster.port, name_of(&shared.url));
    bench.configure(&format!(
        "[network]\nca_file = \"ca.pem\"\n[database]\nurl = \"postgres://localhost:{port}/{name}\"\npassword_file = \"password\"\n"
    ));
    let run = |args: &[&str]| command(&bench, args);
    for args in [&["status"][..], &["inboxes"], &["pause"], &["resume"], &["inboxes", "retire", "hz-1"]] {
        let (succeeded, text) = run(args);
        assert!(succeeded, "{args:?}: {text}");
    }
    assert!(run(&["check"]).1.contains("PostgreSQL "), "{}", run(&["check"]).1);
    // staff are in the service's group
    std::fs::set_permissions(&password, Permissions::from_mode(0o640)).unwrap();
    for args in [&["status"][..], &["check"]] {
        let (succeeded, text) = run(args);
        assert!(!succeeded && text.contains("other users can read it: run `chmod go-r "), "{args:?}: {text}");
    }
}

/// Whether a command succeeded, and what it said.
fn command(bench: &Bench, args: &[&str]) -> (bool, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    let output = command.arg("--config").arg(bench.config()).args(args).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), said.into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn check_warns_when_every_role_may_connect() {
    let Some(shared) = Shared::new("check_warns_when_every_role_may_connect") else { return };
    let mut bench = Bench::new().await;
    bench.server = Some(shared.url.clone());
    bench.configure(&in_inbox("hz-1"));
    let revoke = format!("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC", name_of(&shared.url));
    let (_, open) = command(&bench, &["check"]);
    assert!(open.contains(&revoke), "{open}");
    shared.ours(&revoke);
    let (_, closed) = command(&bench, &["check"]);
    assert!(closed.contains("PostgreSQL ") && !closed.contains("every role of the server"), "{closed}");
}

/// A NOTIFY waits at its commit for those of the whole server, also of databases that are nobody's business.
#[tokio::test(flavor = "multi_thread")]
async fn who_holds_up_all_notifications_of_the_server_stops_no_operator() {
    let test = "postgres_roles::who_holds_up_all_notifications_of_the_server_stops_no_operator";
    if cluster(test).is_none() {
        return;
    }
    let cluster = Cluster::start().unwrap();
    let url = cluster.database();
    for statement in [
        "CREATE ROLE evil LOGIN",
        "CREATE DATABASE other OWNER evil",
        // what commits waits for a standby that does not exist; ours do not
        "ALTER ROLE brandpost SET synchronous_commit = local",
        "ALTER SYSTEM SET synchronous_standby_names = 'nobody'",
        "SELECT pg_reload_conf()",
    ] {
        cluster.run("postgres", statement);
    }
    cluster.run("other", "CREATE TABLE written (x INT); GRANT ALL ON written TO evil");
    let cluster: &'static Cluster = Box::leak(Box::new(cluster));
    // ends with the server
    std::thread::spawn(|| {
        cluster.run_as("evil", "other", "BEGIN; INSERT INTO written VALUES (1); NOTIFY x; COMMIT")
    });
    let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'object' AND objid = 0 AND granted";
    while cluster.run("postgres", held) == "0" {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ledger = Ledger::open(location(&url, "hz-1"), Arc::new(SystemClock)).await.unwrap();
    ledger.suspend("stop").await.unwrap();
    let notices = ledger.report().notices().await.unwrap();
    assert!(notices.iter().any(|notice| notice.name == NoticeName::Suspended), "{notices:?}");
    ledger.resume().await.unwrap();
    assert_eq!(cluster.run("postgres", held), "1", "it was held up all the time");
    ledger.close().await;
}
