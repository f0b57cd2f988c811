//! The state machine of the table, against every sequence of events that chance comes up with: no step may
//! break a constraint, and the promises about slots hold after each.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use brandpost::domain::brand::UploadId;
use brandpost::domain::clock::SystemClock;
use brandpost::domain::failure::{ErrorKind, Failure};
use brandpost::domain::image::{Dimensions, Format};
use brandpost::domain::upload::{Digests, Picture, Stamp, State};
use brandpost::ledger::{
    AttemptEnd, BrandRow, Claim, ClaimOrder, ClaimTerms, Filter, InspectedFile, Inspection, Ledger,
    LedgerError, RetrySelection, StatusRow,
};
use proptest::prelude::*;

/// How many slots the brand has: few, so that they run out.
const SLOTS: u32 = 3;
const FILES: u8 = 6;

#[derive(Debug, Clone)]
enum Event {
    /// A file is found with this content (0: refused), and asks for this slot (0: any).
    InspectedFile {
        file: u8,
        content: u8,
        wish: u8,
    },
    /// A file is found whose content was another file's that is missing now.
    Moved {
        file: u8,
        from: u8,
    },
    Gone {
        file: u8,
    },
    Claim,
    End {
        which: u8,
        how: u8,
    },
    Crash,
    Release {
        slot: u8,
    },
    Reserve {
        slot: u8,
    },
    Retry {
        file: u8,
    },
    RetryAll {
        failed: bool,
    },
    MoreSlots {
        slots: u8,
    },
    /// An operator pauses the uploads, or lets them go on.
    Suspend {
        suspended: bool,
    },
}

fn event() -> impl Strategy<Value = Event> {
    let file = 0..FILES;
    prop_oneof![
        6 => (file.clone(), 0..5u8, prop_oneof![4 => Just(0u8), 1 => 0..6u8])
            .prop_map(|(file, content, wish)| Event::InspectedFile { file, content, wish }),
        1 => (file.clone(), file.clone()).prop_map(|(file, from)| Event::Moved { file, from }),
        2 => file.clone().prop_map(|file| Event::Gone { file }),
        4 => Just(Event::Claim),
        4 => (0..4u8, 0..7u8).prop_map(|(which, how)| Event::End { which, how }),
        1 => Just(Event::Crash),
        1 => (0..6u8).prop_map(|slot| Event::Release { slot }),
        1 => (0..6u8).prop_map(|slot| Event::Reserve { slot }),
        2 => file.prop_map(|file| Event::Retry { file }),
        1 => any::<bool>().prop_map(|failed| Event::RetryAll { failed }),
        1 => (1..6u8).prop_map(|slots| Event::MoreSlots { slots }),
        1 => prop_oneof![1 => Just(true), 3 => Just(false)].prop_map(|suspended| Event::Suspend { suspended }),
    ]
}

const TERMS: ClaimTerms = ClaimTerms { lease: Duration::from_mins(1), horizon: Duration::from_hours(1) };

/// The next file that is due.
async fn claim(ledger: &Ledger) -> Result<Vec<Claim>, LedgerError> {
    let next = ledger.candidates(&ClaimOrder::InTurn, TERMS.horizon, 1).await?;
    ledger.claim(next, TERMS).await
}

struct Model {
    ledger: Ledger,
    brand: BrandRow,
    folder: PathBuf,
    claims: Vec<Claim>,
    stamps: i64,
}

impl Model {
    fn found(&mut self, file: u8, content: u8, wish: u8) -> InspectedFile {
        self.stamps += 1;
        let inspection = match content {
            0 => Inspection::Rejected(Failure::new(ErrorKind::DamagedImage, "damaged")),
            content => {
                let digests =
                    Digests { sha256: format!("{content:064}"), md5: "x".into(), crc64: u64::from(content) };
                let dimensions = Dimensions { width: 1, height: 1 };
                Inspection::Picture(
                    Picture { format: Format::Jpeg, dimensions, digests },
                    (wish > 0).then_some(u32::from(wish)),
                )
            }
        };
        let path = self.folder.join(format!("{file}.jpg"));
        std::fs::write(&path, b"x").unwrap();
        InspectedFile {
            path,
            stamp: Stamp { size: 1, mtime_ns: self.stamps, inode: 1 },
            ctime_ns: 0,
            inspection,
        }
    }

    async fn rows(&self) -> Vec<StatusRow> {
        self.ledger.report().uploads(&Filter::default()).await.unwrap()
    }

    async fn id(&self, file: u8) -> Option<UploadId> {
        let name = format!("{file}.jpg");
        self.rows().await.into_iter().find(|row| row.file_name == name).map(|row| row.id)
    }

    async fn apply(&mut self, event: &Event) -> Result<(), LedgerError> {
        match *event {
            Event::InspectedFile { file, content, wish } => {
                let found = self.found(file, content, wish);
                self.ledger.record(self.brand, vec![found], Vec::new(), Vec::new()).await.map(drop)
            }
            Event::Moved { file, from } => {
                let (Some(id), None) = (self.id(from).await, self.id(file).await) else { return Ok(()) };
                let moved =
                    self.ledger.renamed(self.brand, id, &self.folder.join(format!("{file}.jpg")), 0).await;
                moved.map(drop)
            }
            Event::Gone { file } => match self.id(file).await {
                Some(id) => self.ledger.vanished(self.brand, vec![id]).await.map(drop),
                None => Ok(()),
            },
            Event::Claim => {
                self.claims.extend(claim(&self.ledger).await?);
                Ok(())
            }
            Event::End { which, how } => self.end(which, how).await,
            Event::Crash => {
                self.claims.clear();
                self.ledger.reclaim(true).await.map(drop)
            }
            Event::Release { slot } => self.ledger.release(self.brand, &[u32::from(slot)]).await,
            Event::Reserve { slot } => self.ledger.reserve(self.brand, &[u32::from(slot)]).await.map(drop),
            Event::Retry { file } => match self.id(file).await {
                Some(id) => self.ledger.retry(&RetrySelection::Ids(vec![id])).await.map(drop),
                None => Ok(()),
            },
            Event::RetryAll { failed } => {
                let which = if failed { RetrySelection::Failed } else { RetrySelection::Rejected };
                self.ledger.retry(&which).await.map(drop)
            }
            // fewer slots than before are kept by those that have them, so only more are tried
            Event::MoreSlots { slots } => {
                let before =
                    self.ledger.report().brand(self.brand.brand).await?.map_or(0, |(_, total)| total);
                let total = before.max(SLOTS + u32::from(slots));
                self.ledger.register(&[(self.brand.brand, total)]).await.map(drop)
            }
            Event::Suspend { suspended: true } => self.ledger.suspend("").await.map(drop),
            Event::Suspend { suspended: false } => self.ledger.resume().await.map(drop),
        }
    }

    async fn end(&mut self, which: u8, how: u8) -> Result<(), LedgerError> {
        if self.claims.is_empty() {
            return Ok(());
        }
        let claim = self.claims.remove(usize::from(which) % self.claims.len());
        let failure = |kind| Failure::new(kind, "why");
        let finish = match how {
            0 | 1 => AttemptEnd::Uploaded {
                object_url: "http://x/y".into(),
                etag: "E".into(),
                request_id: None,
                bytes: 1,
                recheck: how == 1,
            },
            2 => AttemptEnd::Failed {
                failure: failure(ErrorKind::OssRejected),
                sent: claim.number().is_multiple_of(2),
            },
            how => AttemptEnd::Retry {
                failure: failure(ErrorKind::Network),
                // now, in half an hour, or at a time that only a clock that jumped can have set
                due: self.ledger.now()
                    + jiff::SignedDuration::from_mins([0, 0, 30, 90][usize::from(how) - 3]),
                recheck: false,
                sent: how == 4,
            },
        };
        self.ledger.finish(&claim, &finish, Duration::ZERO).await
    }

    /// What must be true after every event. (One row a slot and a path is the schema's own promise.)
    async fn check(&self) {
        let rows = self.rows().await;
        let total = self.ledger.report().brand(self.brand.brand).await.unwrap().unwrap().1;
        let mut contents: HashMap<String, Vec<&StatusRow>> = HashMap::new();
        for row in &rows {
            let state = row.state;
            assert!(row.slot.is_none_or(|slot| (1..=i64::from(total)).contains(&slot)), "{row:#?}");
            assert!(!state.is_pending() || row.slot.is_some(), "work has a slot: {row:#?}");
            if let Some(content) = row.sha256.clone().filter(|_| state.is_pending() && row.revision == 1) {
                contents.entry(content).or_default().push(row);
            }
        }
        let uploading = rows.iter().filter(|row| row.state == State::Uploading).count();
        assert_eq!(uploading, self.claims.len(), "every claim has its row, and every such row its claim");
        let free = rows.iter().filter(|row| row.slot.is_some()).count() < total as usize
            && self.ledger.report().brands(None, None, None).await.unwrap()[0].slots_reserved == 0;
        let waiting =
            rows.iter().find(|row| row.error_kind == Some(ErrorKind::LimitReached) && row.slot.is_none());
        assert!(
            !free || waiting.is_none_or(|row| row.error_message.as_ref().unwrap().contains("beyond")),
            "nobody waits beside a free slot: {waiting:#?}"
        );
    }

    /// The queue proposes what the rules let be claimed: all of it, and nothing else.
    async fn check_queue(&self) {
        let (rows, now) = (self.rows().await, self.ledger.now());
        let suspended = !self.ledger.report().notices().await.unwrap().is_empty();
        let is_due = |row: &&StatusRow| {
            let due: Option<jiff::Timestamp> = row.next_attempt_at.as_ref().map(|due| due.parse().unwrap());
            let due = due.is_some_and(|due| due <= now || due > now + TERMS.horizon);
            due && !suspended && matches!(row.state, State::Queued | State::Retrying)
        };
        let mut expected: Vec<_> = rows.iter().filter(is_due).map(|row| row.id).collect();
        expected.sort_unstable();
        for order in [ClaimOrder::LeastTried { but: Vec::new() }, ClaimOrder::InTurn] {
            let proposed = self.ledger.candidates(&order, TERMS.horizon, 1000).await.unwrap();
            let mut ids: Vec<_> = proposed.iter().map(|file| file.id).collect();
            ids.sort_unstable();
            assert_eq!(ids, expected, "{order:?}: {rows:#?}");
        }
        let proposed = self.ledger.candidates(&ClaimOrder::InTurn, TERMS.horizon, 1000).await.unwrap();
        let claimed = self.ledger.claim(proposed, TERMS).await.unwrap();
        assert_eq!(claimed.len(), expected.len(), "the rules refuse what the queue proposes: {rows:#?}");
    }
}

async fn run(events: Vec<Event>) {
    let folder = tempfile::tempdir().unwrap();
    let ledger =
        Ledger::open(crate::support::new_ledger(folder.path()), Arc::new(SystemClock)).await.unwrap();
    let brand = ledger.register(&[("OWNBRAND/1".parse().unwrap(), SLOTS)]).await.unwrap()[0];
    let mut model = Model { ledger, brand, folder: folder.path().into(), claims: Vec::new(), stamps: 0 };
    for event in events {
        match model.apply(&event).await {
            Ok(()) | Err(LedgerError::Refused(_)) => model.check().await,
            Err(error) => panic!("{event:?}: {error}"),
        }
    }
    model.check_queue().await;
    model.ledger.close().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if crate::support::postgres::is_engine() { 8 } else { 48 }, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_events_breaks_the_table(events in proptest::collection::vec(event(), 1..60)) {
        tokio::runtime::Runtime::new().unwrap().block_on(run(events));
    }
}

#[tokio::test]
async fn brands_take_turns() {
    let folder = tempfile::tempdir().unwrap();
    let ledger =
        Ledger::open(crate::support::new_ledger(folder.path()), Arc::new(SystemClock)).await.unwrap();
    let names = ["OWNBRAND/1", "OWNBRAND/2", "OTHERBRAND/3"];
    let brands = ledger.register(&names.map(|name| (name.parse().unwrap(), 10))).await.unwrap();
    let record = async |brand: usize, files: std::ops::Range<u8>| {
        let folder = folder.path().join(brand.to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let mut model =
            Model { ledger: ledger.clone(), brand: brands[brand], folder, claims: Vec::new(), stamps: 0 };
        let found: Vec<_> = files.map(|file| model.found(file, file + 1, 0)).collect();
        ledger.record(brands[brand], found, Vec::new(), Vec::new()).await.unwrap();
    };
    let next = async || {
        let claim = claim(&ledger).await.unwrap().pop().unwrap();
        let file = claim.path.file_stem().unwrap().to_str().unwrap().to_owned();
        format!("{} {file}", brands.iter().position(|row| row.brand == claim.brand).unwrap())
    };
    record(0, 0..4).await;
    record(1, 0..2).await;
    assert_eq!([next().await, next().await, next().await], ["0 0", "1 0", "0 1"]);
    // who comes later has its turn in the round that is on
    record(2, 0..2).await;
    assert_eq!([next().await, next().await, next().await], ["1 1", "2 0", "0 2"]);
    assert_eq!([next().await, next().await], ["2 1", "0 3"]);
    ledger.close().await;
}

#[tokio::test]
async fn brands_that_are_left_out_hide_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let ledger =
        Ledger::open(crate::support::new_ledger(folder.path()), Arc::new(SystemClock)).await.unwrap();
    let names = ["OWNBRAND/1", "OWNBRAND/2", "OTHERBRAND/3"];
    let brands = ledger.register(&names.map(|name| (name.parse().unwrap(), 200))).await.unwrap();
    let mut other = None;
    for (brand, count) in brands.iter().zip([150, 150, 1]) {
        let folder = folder.path().join(brand.brand.record().to_string());
        std::fs::create_dir_all(&folder).unwrap();
        let mut model =
            Model { ledger: ledger.clone(), brand: *brand, folder, claims: Vec::new(), stamps: 0 };
        let found: Vec<_> = (0..count).map(|file| model.found(file, file + 1, 0)).collect();
        ledger.record(*brand, found, Vec::new(), Vec::new()).await.unwrap();
        other = Some(brand.brand);
    }
    // each time it fails, its turn comes a round later: behind more files of the others than are compared
    let tried = async |but: &[usize]| {
        let but = but.iter().map(|brand| brands[*brand].id).collect();
        let files = ledger.candidates(&ClaimOrder::LeastTried { but }, TERMS.horizon, 1).await.unwrap();
        let claim = ledger.claim(files, TERMS).await.unwrap().pop();
        if let Some(claim) = &claim {
            let end = AttemptEnd::Retry {
                failure: Failure::new(ErrorKind::Network, "why"),
                due: jiff::Timestamp::UNIX_EPOCH,
                recheck: false,
                sent: false,
            };
            ledger.finish(claim, &end, Duration::ZERO).await.unwrap();
        }
        claim.map(|claim| claim.brand)
    };
    for _ in 0..40 {
        assert_eq!(tried(&[0, 1]).await, other);
    }
    assert_eq!(tried(&[0, 1, 2]).await, None);
    assert_ne!(tried(&[]).await, other);
    assert_eq!(tried(&[0]).await, Some(brands[1].brand));
    ledger.close().await;
}
