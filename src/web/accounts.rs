//! Whose a user id of this machine is: an account can have tens of thousands of subordinate ids for its containers.

use std::collections::{HashMap, HashSet};
use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// Whether the files have changed is asked at most so often.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// No more than this is read of each file, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// The accounts of this machine and their subordinate ids, as its files name them. Files that are missing are empty.
#[derive(Debug)]
pub(super) struct Accounts {
    passwd: PathBuf,
    subuid: PathBuf,
    checked: Option<Instant>,
    /// When each file was changed, and its size.
    stamps: [Option<(SystemTime, u64)>; 2],
    owners: Owners,
}

impl Accounts {
    pub(super) fn of_this_machine() -> Self {
        Self::new("/etc/passwd".into(), "/etc/subuid".into())
    }

    fn new(passwd: PathBuf, subuid: PathBuf) -> Self {
        Self { passwd, subuid, checked: None, stamps: [None; 2], owners: Owners::default() }
    }

    /// Reads the files again if they have changed.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.checked.is_some_and(|checked| now.duration_since(checked) < CHECK_INTERVAL) {
            return;
        }
        self.checked = Some(now);
        let stamp = |path| fs::metadata(path).and_then(|file| Ok((file.modified()?, file.len()))).ok();
        // before they are read: a change meanwhile is seen the next time
        let stamps = [&self.passwd, &self.subuid].map(stamp);
        if self.stamps != stamps {
            self.owners = Owners::parse(&beginning(&self.passwd), &beginning(&self.subuid));
            self.stamps = stamps;
        }
    }

    /// The account that a user id belongs to.
    pub(super) fn owner(&self, uid: u32) -> u32 {
        self.owners.owner(uid)
    }
}

fn beginning(path: &Path) -> String {
    let mut bytes = Vec::new();
    // what cannot be read names nobody
    let file = OpenOptions::new().read(true).open(path);
    let _ = file.and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
    String::from_utf8_lossy(&bytes).into_owned()
}

#[derive(Debug, Default)]
struct Owners {
    /// Those that have an account of their own, also within a range of another: `root:1000:1` takes nobody's account.
    accounts: HashSet<u32>,
    ranges: Vec<Range>,
}

#[derive(Debug)]
struct Range {
    start: u32,
    count: u64,
    owner: u32,
}

impl Owners {
    /// Lines that are not as they should be are left out.
    fn parse(passwd: &str, subuid: &str) -> Self {
        let mut by_name: HashMap<_, _> = passwd.lines().filter_map(account).collect();
        let accounts = by_name.values().copied().collect();
        let range = |line| {
            let (name, start, count) = subordinate(line)?;
            // an account that the files do not know is known by its first range
            let owner = *by_name.entry(name).or_insert_with(|| name.parse().unwrap_or(start));
            Some(Range { start, count, owner })
        };
        Self { accounts, ranges: subuid.lines().filter_map(range).collect() }
    }

    fn owner(&self, uid: u32) -> u32 {
        if self.accounts.contains(&uid) {
            return uid;
        }
        self.ranges.iter().find(|range| range.contains(uid)).map_or(uid, |range| range.owner)
    }
}

impl Range {
    fn contains(&self, uid: u32) -> bool {
        uid.checked_sub(self.start).is_some_and(|offset| u64::from(offset) < self.count)
    }
}

/// The name and the id of `name:password:uid:gid:…`.
fn account(line: &str) -> Option<(&str, u32)> {
    let mut fields = line.split(':');
    let (name, uid, _gid) = (fields.next()?, fields.nth(1)?, fields.next()?);
    Some((name, uid.parse().ok()?))
}

/// `name-or-uid:start:count`.
fn subordinate(line: &str) -> Option<(&str, u32, u64)> {
    let (name, range) = line.split_once(':')?;
    let (start, count) = range.split_once(':')?;
    Some((name, start.parse().ok()?, count.parse().ok()?))
        .filter(|_| !name.is_empty() && !name.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        ann:x:1000:1000::/home/ann:/bin/sh\n\
        bob:x:1001:1001::/home/bob:/bin/sh\n\
        nonsense\n:\nwho:x:many:1::/:\ncut:x:100\n\
        inside:x:100500:100500::/:/bin/sh\n";

    #[test]
    fn a_subordinate_id_belongs_to_the_account_that_has_its_range() {
        for (subuid, uid, owner) in [
            ("", 100_000, 100_000),
            ("ann:100000:65536", 99_999, 99_999),
            ("ann:100000:65536", 100_000, 1000),
            ("ann:100000:65536\n", 165_535, 1000),
            ("ann:100000:65536\nbob:165536:65536\n", 165_536, 1001),
            ("ann:100000:65536\nann:300000:10\n", 300_009, 1000),
            ("1001:100000:65536", 100_001, 1001),
            // of a directory service: its ranges belong together
            ("ldap:100000:10\nldap:200000:10\n", 200_005, 100_000),
            ("4000001:100000:10", 100_005, 4_000_001),
            // accounts stay by themselves
            ("ann:100000:65536", 100_500, 100_500),
            ("root:1000:2", 1001, 1001),
            ("root:0:4294967296", u32::MAX, 0),
            ("ann:4294967290:100", u32::MAX, 1000),
            ("cut:100000:10", 100_001, 100_000),
            // no ranges
            ("ann:100000:0", 100_000, 100_000),
            ("ann:100000", 100_000, 100_000),
            ("ann:100000:", 100_000, 100_000),
            ("ann:100000:10:1", 100_000, 100_000),
            ("ann:-1:10", 1, 1),
            (":100000:10", 100_005, 100_005),
            ("# ann:100000:10\n\n::\n\u{fffd}\nann:x:y\nann:100000:10", 100_005, 1000),
        ] {
            assert_eq!(Owners::parse(PASSWD, subuid).owner(uid), owner, "{uid} by {subuid:?}");
        }
    }

    #[test]
    fn the_files_are_read_again_when_they_have_changed() {
        let dir = tempfile::tempdir().unwrap();
        let [passwd, subuid] = ["passwd", "subuid"].map(|name| dir.path().join(name));
        let mut accounts = Accounts::new(passwd.clone(), subuid.clone());
        let mut now = Instant::now();
        accounts.refresh(now);
        assert_eq!(accounts.owner(100_005), 100_005, "there are no files");
        fs::write(&subuid, "ann:100000:10\n").unwrap();
        accounts.refresh(now);
        assert_eq!(accounts.owner(100_005), 100_005, "too early to look");
        for (passwd_text, owner) in [("", 100_000), (PASSWD, 1000)] {
            fs::write(&passwd, passwd_text).unwrap();
            now += CHECK_INTERVAL;
            accounts.refresh(now);
            assert_eq!(accounts.owner(100_005), owner);
        }
        let filler = usize::try_from(MAX_FILE).unwrap();
        fs::write(&subuid, "#".repeat(filler) + "\nann:100000:10\n").unwrap();
        accounts.refresh(now + CHECK_INTERVAL);
        assert_eq!(accounts.owner(100_005), 100_005, "that is too far down");
    }
}
