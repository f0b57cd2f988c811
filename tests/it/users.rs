//! Who may write in one folder reaches no other: the real binary as one user, staff as another.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use brandpost::domain::brand::BrandType;
use brandpost::domain::upload::State;
use sqlx::Connection as _;
use tokio::time::Instant;

use crate::support::pictures::jpg;
use crate::support::process::Process;
use crate::support::{Bench, OTHER, OWN};

/// The service's user, its group, and somebody of that group.
const SERVICE: u32 = 47_110;
const STAFF: u32 = 47_120;

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Other users can be played by root only.
fn is_root(test: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        eprintln!("\n***** SKIPPED, because it needs root: users::{test} *****\n");
    }
    root
}

/// A bench whose folder belongs to the service, with an inbox in which staff may write.
async fn bench(extra: &str) -> Bench {
    let bench = Bench::with(extra).await;
    bench.brand(OWN);
    give(bench.folder.path(), SERVICE);
    mode(bench.folder.path(), 0o755);
    for folder in ["inbox", "inbox/OWNBRAND", "inbox/OWNBRAND/1001"] {
        mode(&bench.folder.path().join(folder), 0o2770);
    }
    mode(&bench.folder.path().join("secret"), 0o600);
    bench
}

/// Gives a folder and all that is in it to a user.
fn give(path: &Path, user: u32) {
    chown(path, Some(user), Some(user)).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path(), user);
        }
    }
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What somebody of the service's group does in a shell.
fn staff(script: &str, arguments: &[&Path]) {
    let mut shell = Command::new("sh");
    shell.args(["-euc", &format!("umask 002; {script}"), "sh"]).args(arguments);
    assert!(shell.uid(STAFF).gid(SERVICE).status().unwrap().success(), "{script}");
}

fn drop_as_staff(bench: &Bench, brand: &str, name: &str, seed: u8) {
    let picture = bench.folder.path().join("picture");
    fs::write(&picture, jpg(seed)).unwrap();
    let to = bench.folder.path().join("inbox").join(brand).join(name);
    staff("cp \"$1\" \"$2.part\"; mv \"$2.part\" \"$2\"", &[&picture, &to]);
}

async fn until(bench: &Bench, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "waited in vain for: {what}\n{}", log(bench));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn until_uploaded(bench: &Bench, count: u64) {
    // root's look at a database that is being made would have the daemon find files of root beside it
    until_said(bench, "started").await;
    let uploaded = async || bench.counts_so_far().await.of(State::Uploaded) == count;
    until(bench, &format!("{count} uploaded"), uploaded).await;
}

async fn until_said(bench: &Bench, words: &str) {
    until(bench, words, async || log(bench).contains(words)).await;
}

fn log(bench: &Bench) -> String {
    fs::read_to_string(bench.folder.path().join("daemon.log")).unwrap_or_default()
}

fn names(folder: PathBuf) -> Vec<String> {
    let name = |entry: fs::DirEntry| entry.file_name().into_string().unwrap();
    let mut names: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| name(entry.unwrap())).collect();
    names.sort();
    names
}

/// Staff who may write in the archive make a link there, to where only the service may write.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_the_archive_leads_nowhere() {
    if !is_root("a_link_in_the_archive_leads_nowhere") {
        return;
    }
    for (closed, link) in [("state", "archive/OWNBRAND/1001"), ("state", "archive/OWNBRAND")] {
        let bench = bench("[upload]\nafter = \"archive\"\n").await;
        let closed = bench.folder.path().join(closed);
        fs::create_dir_all(closed.join("1001")).unwrap();
        give(&closed, SERVICE);
        mode(&closed, 0o700);
        let archive = bench.folder.path().join("archive");
        fs::create_dir(&archive).unwrap();
        give(&archive, SERVICE);
        mode(&archive, 0o2770);
        let link = bench.folder.path().join(link);
        staff("mkdir -p \"$(dirname \"$1\")\"; ln -s \"$2\" \"$1\"", &[&link, &closed]);
        let daemon = Process::start_as(&bench, SERVICE);
        drop_as_staff(&bench, OWN, "brandpost.db-journal.jpg", 1);
        until_uploaded(&bench, 1).await;
        until_said(&bench, "cannot be tidied away").await;
        daemon.kill();
        assert_eq!(names(closed.clone()), ["1001"]);
        assert!(names(closed.join("1001")).is_empty());
        assert_eq!(names(bench.brand(OWN)), ["brandpost.db-journal.jpg"]);
    }
}

/// The owner of a picture, and others of the group, could write it in the inbox; in the archive nobody can.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_archived_is_changed_by_nobody() {
    if !is_root("what_is_archived_is_changed_by_nobody") {
        return;
    }
    let bench = bench("[upload]\nafter = \"archive\"\n").await;
    let archive = bench.folder.path().join("archive");
    fs::create_dir(&archive).unwrap();
    give(&archive, SERVICE);
    mode(&archive, 0o2750);
    let inbox = bench.brand(OWN);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    staff("chmod 664 \"$1\"; ln \"$1\" \"$2\"", &[&inbox.join("a.jpg"), &inbox.join(".second name")]);
    let daemon = Process::start_as(&bench, SERVICE);
    let archived = archive.join(OWN).join("a.jpg");
    until(&bench, "the archive", async || archived.exists()).await;
    daemon.kill();
    staff(
        "! echo changed 2>/dev/null >\"$1\"; echo changed >\"$2\"",
        &[&archived, &inbox.join(".second name")],
    );
    assert_eq!(fs::read(&archived).unwrap(), jpg(1));
}

/// Nor does a folder there that staff made: they could take out what comes in.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_of_somebody_else_in_the_archive_is_not_used() {
    if !is_root("a_folder_of_somebody_else_in_the_archive_is_not_used") {
        return;
    }
    let bench = bench("[upload]\nafter = \"archive\"\n").await;
    let archive = bench.folder.path().join("archive");
    fs::create_dir(&archive).unwrap();
    give(&archive, SERVICE);
    mode(&archive, 0o2770);
    staff("mkdir -p \"$1\"", &[&archive.join(OWN)]);
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_said(&bench, "OWNBRAND: it belongs to another user (number 47120)").await;
    daemon.kill();
    assert_eq!(names(bench.brand(OWN)), ["a.jpg"]);
    fs::rename(archive.join("OWNBRAND"), bench.folder.path().join("away")).unwrap();
    let daemon = Process::start_as(&bench, SERVICE);
    until(&bench, "the archive", async || archive.join(OWN).join("a.jpg").exists()).await;
    daemon.kill();
    for folder in ["OWNBRAND", OWN] {
        assert_eq!(archive.join(folder).metadata().unwrap().permissions().mode() & 0o022, 0, "{folder}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staging_folder_that_somebody_else_made_is_not_used() {
    if !is_root("a_staging_folder_that_somebody_else_made_is_not_used") {
        return;
    }
    let bench = bench("[upload]\nafter = \"delete\"\n").await;
    let folder = bench.brand(OWN);
    // what is in it is nobody's to put into the inbox
    staff("mkdir \"$1\"; echo x >\"$1/planted.jpg\"", &[&folder.join(".brandpost")]);
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_said(&bench, "there is a folder .brandpost that others made or can write").await;
    daemon.kill();
    assert_eq!(names(folder.clone()), [".brandpost", "a.jpg"]);
    fs::rename(folder.join(".brandpost"), bench.folder.path().join("away")).unwrap();
    let daemon = Process::start_as(&bench, SERVICE);
    until(&bench, "a.jpg is deleted", async || !folder.join("a.jpg").exists()).await;
    daemon.kill();
}

/// Who owns a folder of `[[brand]]` turns it into a link to a folder that is closed to him.
#[tokio::test(flavor = "multi_thread")]
async fn a_mapped_folder_that_its_owner_turns_into_a_link_sends_nothing() {
    if !is_root("a_mapped_folder_that_its_owner_turns_into_a_link_sends_nothing") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    mode(home.path(), 0o755);
    let mapped = home.path().join("acme");
    fs::create_dir(&mapped).unwrap();
    give(home.path(), STAFF);
    let entry = format!(
        "[[brand]]\ntype = \"OTHERBRAND\"\nid = 2002\npath = \"{}\"\n[watch]\npoll_interval = \"100ms\"\nsettle = \"100ms\"\n",
        mapped.display()
    );
    let bench = bench(&entry).await;
    drop_as_staff(&bench, OWN, "secret.jpg", 1);
    let closed = bench.brand(OWN);
    mode(&closed, 0o700);
    let daemon = Process::start_as(&bench, SERVICE);
    until_uploaded(&bench, 1).await;
    staff("mv \"$1\" \"$1.away\"; ln -s \"$2\" \"$1\"", &[&mapped, &closed]);
    until_said(&bench, "is a symbolic link of the user with the number 47120").await;
    // nor does he keep the service from its next start
    daemon.kill();
    let daemon = Process::start_as(&bench, SERVICE);
    let twice = async || log(&bench).matches("is a symbolic link of the user").count() == 2;
    until(&bench, "it is said again", twice).await;
    let sent: Vec<_> = bench.puts().iter().map(|put| put.path.clone()).collect();
    assert!(sent.iter().all(|path| !path.contains(OTHER)), "{sent:?}");
    // a link of root's is the operator's word
    fs::remove_file(&mapped).unwrap();
    symlink(home.path().join("acme.away"), &mapped).unwrap();
    let own = home.path().join("acme.away/own.jpg");
    fs::write(&own, jpg(2)).unwrap();
    until_uploaded(&bench, 2).await;
    daemon.kill();
    assert_eq!(bench.row("own.jpg").await.brand_type, BrandType::Other);
}

/// Root in somebody's folder, where a configuration lies.
#[tokio::test(flavor = "multi_thread")]
async fn root_does_not_obey_the_configuration_of_others() {
    if !is_root("root_does_not_obey_the_configuration_of_others") {
        return;
    }
    let bench = Bench::new().await;
    let show = |config: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
        command.current_dir(bench.folder.path()).env_remove("BRANDPOST_CONFIG").env("LC_ALL", "C");
        if let Some(path) = config {
            command.arg("--config").arg(path);
        }
        String::from_utf8(command.args(["show", "1"]).output().unwrap().stderr).unwrap()
    };
    let (folder, config) = (bench.folder.path(), bench.config());
    let obeyed = "there is none yet; `brandpost run` creates it";
    let table = [
        // owner and mode of the folder, of the file, and whether it counts by itself
        (0, 0o755, 0, 0o644, true),
        (0, 0o700, 0, 0o600, true),
        (STAFF, 0o755, STAFF, 0o644, false),
        (STAFF, 0o755, 0, 0o644, false),
        (0, 0o755, STAFF, 0o644, false),
        (0, 0o1777, 0, 0o644, false),
        (0, 0o755, 0, 0o646, false),
    ];
    for (folders, folder_mode, files, file_mode, good) in table {
        chown(folder, Some(folders), None).unwrap();
        mode(folder, folder_mode);
        chown(&config, Some(files), None).unwrap();
        mode(&config, file_mode);
        let words = if good { obeyed } else { "config.toml: root does not obey it" };
        let err = show(None);
        assert!(err.contains(words), "{folders} {folder_mode:o} {files} {file_mode:o}: {err}");
        // named on purpose: only what others can write is refused, as its owner can
        let others = file_mode & 0o002 != 0 || files != 0;
        let words = if others { "because other users can write it" } else { obeyed };
        let err = show(Some(&config));
        assert!(err.contains(words), "--config {folders} {folder_mode:o} {files} {file_mode:o}: {err}");
    }
    chown(&config, Some(0), Some(STAFF)).unwrap();
    mode(&config, 0o660);
    assert!(show(Some(&config)).contains("because other users can write it"), "a group is others");
    // these bits are the mask of an access list, which may let anybody in
    chown(&config, Some(0), Some(0)).unwrap();
    assert!(show(Some(&config)).contains("because other users can write it"), "so is root's own");
}

/// Who can open a file can lock it, and the daemon would not start. That staff may read the database stays as it is.
#[tokio::test(flavor = "multi_thread")]
async fn staff_cannot_hold_the_lock_of_the_daemon() {
    if !is_root("staff_cannot_hold_the_lock_of_the_daemon") {
        return;
    }
    let bench = bench("").await;
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_uploaded(&bench, 1).await;
    let lock = bench.folder.path().join("brandpost.db.lock");
    // as an earlier version left it
    daemon.kill();
    mode(&lock, 0o640);
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "b.jpg", 2);
    until_uploaded(&bench, 2).await;
    staff("! flock --nonblock --shared \"$1\" true; cat \"$2\" >/dev/null", &[&lock, &bench.database()]);
    daemon.kill();
}

/// The service's user chooses what stands under the database's name.
#[tokio::test(flavor = "multi_thread")]
async fn root_opens_no_database_by_a_link_of_the_service() {
    if !is_root("root_opens_no_database_by_a_link_of_the_service") {
        return;
    }
    let bench = bench("").await;
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_uploaded(&bench, 1).await;
    daemon.kill();
    let state = bench.database().parent().unwrap().to_owned();
    give(&state, SERVICE);
    chown(bench.config(), Some(0), Some(0)).unwrap();
    let roots_place = tempfile::tempdir().unwrap();
    let target = roots_place.path().join("roots");
    fs::write(&target, b"").unwrap();
    fs::remove_file(bench.database()).unwrap();
    std::os::unix::fs::symlink(&target, bench.database()).unwrap();
    for command in [&["retry", "--failed"][..], &["pause"], &["status"], &["page"], &["check"]] {
        let said = roots(&bench, command);
        assert!(said.contains("root does not open it"), "{command:?}: {said}");
    }
    assert_eq!(fs::read(&target).unwrap(), b"");
    assert_eq!(names(roots_place.path().into()), ["roots"]);
}

/// He can also exchange it between the look and the opening: only he opens it.
#[tokio::test(flavor = "multi_thread")]
async fn root_works_with_the_database_as_the_user_of_the_service() {
    if !is_root("root_works_with_the_database_as_the_user_of_the_service") {
        return;
    }
    let bench = bench("").await;
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_uploaded(&bench, 1).await;
    chown(bench.config(), Some(0), Some(0)).unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    program.arg("--config").arg(bench.config()).args(["status", "--watch"]);
    let mut watch = program.stdout(std::process::Stdio::null()).spawn().unwrap();
    let user = async || {
        let status = fs::read_to_string(format!("/proc/{}/status", watch.id())).unwrap_or_default();
        status.lines().any(|line| line == format!("Uid:\t{SERVICE}\t{SERVICE}\t{SERVICE}\t{SERVICE}"))
    };
    until(&bench, "it is the service's user, for good", user).await;
    watch.kill().unwrap();
    watch.wait().unwrap();
    daemon.kill();
    // what it leaves belongs to him, and nothing is readable that is not his
    assert!(roots(&bench, &["pause"]).is_empty());
    let state = fs::read_dir(bench.folder.path()).unwrap().map(Result::unwrap);
    let foreign = state.filter(|entry| entry.file_name().to_string_lossy().starts_with("brandpost.db"));
    let foreign: Vec<_> = foreign.filter(|entry| entry.metadata().unwrap().uid() != SERVICE).collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    mode(&bench.database(), 0o000);
    assert!(
        roots(&bench, &["status"]).contains("unable to open"),
        "not even root's right to read all is used"
    );
}

/// What root is told.
fn roots(bench: &Bench, command: &[&str]) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_brandpost"));
    program.arg("--config").arg(bench.config()).args(command).env("LC_ALL", "C");
    let output = program.output().unwrap();
    let said = if command == ["check"] { output.stdout } else { output.stderr };
    String::from_utf8(said).unwrap()
}

/// A journal of SQLite's that has whoever opens the database to write delete a file (a super-journal that no journal needs).
fn journal_that_deletes(database: &Path, victim: &Path) -> Vec<u8> {
    const PAGE: u32 = 4096;
    const LOCKED_PAGE: u32 = 0x4000_0000 / PAGE + 1;
    let magic = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    let pages = u32::try_from(fs::metadata(database).unwrap().len()).unwrap() / PAGE;
    let mut head = magic.to_vec();
    head.extend([0, 1234, pages, 512, PAGE].into_iter().flat_map(u32::to_be_bytes));
    head.resize(8192, 0);
    let name = victim.to_str().unwrap().as_bytes();
    let (length, sum) = (u32::try_from(name.len()).unwrap(), name.iter().map(|byte| u32::from(*byte)).sum());
    head.extend(LOCKED_PAGE.to_be_bytes());
    head.extend(name);
    head.extend([length, sum].into_iter().flat_map(u32::to_be_bytes));
    head.extend(magic);
    head
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lies_beside_the_database_is_not_root_s_to_obey() {
    if !is_root("what_lies_beside_the_database_is_not_root_s_to_obey") {
        return;
    }
    let (bench, closed) = (bench("").await, tempfile::tempdir().unwrap());
    let daemon = Process::start_as(&bench, SERVICE);
    drop_as_staff(&bench, OWN, "a.jpg", 1);
    until_uploaded(&bench, 1).await;
    daemon.kill();
    let (victim, copy) = (closed.path().join("victim"), closed.path().join("copy.db"));
    fs::write(&victim, "root's").unwrap();
    let config = closed.path().join("config.toml");
    let home = |name: &str| bench.folder.path().join(name);
    let text = fs::read_to_string(bench.config()).unwrap();
    let text = text.replace("\"secret\"", &format!("{:?}", home("secret")));
    let text = text.replace("[watch]\n", &format!("[watch]\nroot = {:?}\n", home("inbox")));
    let places = format!("[database]\npath = {:?}\n", bench.database());
    fs::write(&config, text + &places).unwrap();
    mode(&config, 0o600);
    let backup = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_brandpost"));
        command.arg("--config").arg(&config).arg("backup").arg(&copy).output().unwrap()
    };
    // what is rolled back is not in a WAL
    let mut database =
        sqlx::SqliteConnection::connect(&format!("sqlite:{}", bench.database().display())).await.unwrap();
    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut database).await.unwrap();
    database.close().await.unwrap();
    let journal = PathBuf::from(format!("{}-journal", bench.database().display()));
    fs::write(&journal, journal_that_deletes(&bench.database(), &victim)).unwrap();
    give(bench.folder.path(), SERVICE);
    let output = backup();
    assert!(victim.exists() && !copy.exists(), "{output:?}");
    let _ = fs::remove_file(&journal);
    let output = backup();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(fs::metadata(&copy).unwrap().uid(), 0);
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    let report = brandpost::ledger::Report::open(&copy).await.unwrap();
    assert_eq!(report.counts(None).await.unwrap().total(), 1);
    let left = names(bench.folder.path().to_owned());
    assert!(left.iter().all(|name| !name.contains("backup")), "{left:?}");
}
