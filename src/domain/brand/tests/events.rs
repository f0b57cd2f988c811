//! Sequences of events: no step breaks an invariant, and each does what the naive model does.

use std::time::Duration;

use proptest::prelude::*;

use super::naive::Naive;
use super::{SLOTS, brand, found, inbox, moment, path};
use crate::domain::brand::{Absent, AttemptEnd, Brand, Claim, ClaimTerms, Moment, Upload, UploadId};
use crate::domain::clock::later;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::upload::State;

const FILES: u8 = 7;
const TERMS: ClaimTerms = ClaimTerms { lease: Duration::from_mins(1), horizon: Duration::from_hours(1) };

#[derive(Debug, Clone)]
enum Event {
    Found { file: u8, content: u8, wanted: Option<u32> },
    Renamed { from: u8, to: u8 },
    Moved { from: u8, to: u8 },
    Vanished { file: u8 },
    Looked { file: u8 },
    Claim { which: u8 },
    End { which: u8, how: u8 },
    EndTwice { how: u8 },
    Crash,
    Release { slot: u32 },
    Reserve { slot: u32 },
    Retry { file: u8 },
    Resize { slots: u32 },
    Adopt,
}

fn event() -> impl Strategy<Value = Event> {
    let file = || 0..FILES;
    prop_oneof![
        8 => (file(), 0..6u8, prop_oneof![4 => Just(None), 1 => (0..6u32).prop_map(Some)])
            .prop_map(|(file, content, wanted)| Event::Found { file, content, wanted }),
        1 => (file(), file()).prop_map(|(from, to)| Event::Renamed { from, to }),
        1 => (file(), file()).prop_map(|(from, to)| Event::Moved { from, to }),
        2 => file().prop_map(|file| Event::Vanished { file }),
        1 => file().prop_map(|file| Event::Looked { file }),
        5 => (0..4u8).prop_map(|which| Event::Claim { which }),
        5 => (0..4u8, 0..6u8).prop_map(|(which, how)| Event::End { which, how }),
        1 => (0..6u8).prop_map(|how| Event::EndTwice { how }),
        1 => Just(Event::Crash),
        2 => (1..6u32).prop_map(|slot| Event::Release { slot }),
        1 => (0..6u32).prop_map(|slot| Event::Reserve { slot }),
        2 => file().prop_map(|file| Event::Retry { file }),
        1 => (1..6u32).prop_map(|slots| Event::Resize { slots }),
        1 => Just(Event::Adopt),
    ]
}

struct Run {
    brand: Brand,
    naive: Naive,
    claims: Vec<Claim>,
    ended: Option<Claim>,
}

fn end(how: u8, at: &Moment) -> (AttemptEnd, State, bool) {
    let failure = Failure::new(ErrorKind::Network, "why");
    match how {
        0..=2 => {
            let (object_url, etag) = ("http://x/y".into(), "E".into());
            let end =
                AttemptEnd::Uploaded { object_url, etag, request_id: None, bytes: 1, recheck: how == 1 };
            (end, State::Uploaded, true)
        }
        3 | 4 => {
            let (due, sent) = (later(at.now, Duration::from_secs(2)), how == 4);
            (AttemptEnd::Retry { failure, due, recheck: false, sent }, State::Retrying, sent)
        }
        how => (AttemptEnd::Failed { failure, sent: how == 5 }, State::Failed, how == 5),
    }
}

impl Run {
    fn new() -> Self {
        let naive = Naive { rows: Vec::new(), reserved: Vec::new(), total: SLOTS };
        Self { brand: brand(), naive, claims: Vec::new(), ended: None }
    }

    fn id(&self, file: u8) -> Option<UploadId> {
        self.brand.file_at(inbox().id, &path(file)).map(|file| file.id)
    }

    fn apply(&mut self, event: &Event, at: &Moment) {
        match *event {
            Event::Found { file, content, wanted } => {
                let result = self.brand.take_in(&found(file, content, wanted), Absent::default(), at);
                assert_eq!(result.path, path(file));
                self.naive.found(file, content, wanted);
            }
            Event::Renamed { from, to } => {
                let Some(id) = self.id(from).filter(|_| self.id(to).is_none()) else { return };
                if self.brand.renamed(id, &path(to), 0, at) {
                    self.naive.row(from).into_iter().for_each(|row| row.file = to);
                }
            }
            Event::Moved { from, to } => {
                let Some(id) = self.id(from).filter(|_| from != to) else { return };
                if self.brand.moved(id, &path(to), at) {
                    self.naive.rows.retain(|row| row.file != to);
                    self.naive.row(from).into_iter().for_each(|row| row.file = to);
                }
            }
            Event::Vanished { file } => {
                let Some(id) = self.id(file) else { return };
                self.brand.vanished(&[id], at);
                self.naive.vanished(file);
            }
            Event::Looked { file } => {
                let row = self.id(file).and_then(|id| self.brand.file(id));
                let Some((id, requested)) = row.map(|row| (row.id, row.recheck.requested)) else { return };
                self.brand.recheck_done(id, requested);
            }
            Event::Claim { which } => self.claim(which, at),
            Event::End { which, how } if !self.claims.is_empty() => {
                let claim = self.claims.remove(usize::from(which) % self.claims.len());
                let (end, state, sent) = end(how, at);
                assert!(self.brand.finish(&claim, &end, Duration::ZERO, at));
                self.naive.ended(self.file_of(&claim), state, sent);
                self.ended = Some(claim);
            }
            Event::EndTwice { how } => {
                let Some(claim) = self.ended.take() else { return };
                let before = self.brand.clone();
                assert!(!self.brand.finish(&claim, &end(how, at).0, Duration::ZERO, at), "it was ended");
                assert!(self.brand.changes_since(&before).saved.is_empty());
            }
            Event::End { .. } => {}
            Event::Crash => self.crash(at),
            _ => self.operator(event, at),
        }
    }

    fn operator(&mut self, event: &Event, at: &Moment) {
        let mut after = self.brand.clone();
        match *event {
            Event::Release { slot } if after.release(&[slot], at).is_ok() => self.naive.released(slot),
            Event::Reserve { slot } if after.reserve(&[slot], at).is_ok() => self.naive.reserve(slot),
            Event::Retry { file } => {
                let Some(id) = self.id(file) else { return };
                match after.retry(id, at) {
                    Ok(()) => self.naive.retried(file),
                    Err(_) => return,
                }
            }
            Event::Resize { slots } => {
                let slots = slots.max(after.slots_total());
                after.resize(slots, at);
                self.naive.total = slots;
                self.naive.settle();
            }
            Event::Adopt => assert_eq!(after.adopt(at), 0, "nothing is held"),
            _ => return,
        }
        self.brand = after;
    }

    fn claim(&mut self, which: u8, at: &Moment) {
        let waiting: Vec<_> = self.brand.files().filter(|file| file.state.due().is_some()).collect();
        let Some(id) = waiting.get(usize::from(which)).map(|file| file.id) else { return };
        let Some(claim) = self.brand.start(id, TERMS, at) else { return };
        let file = self.file_of(&claim);
        self.naive.row(file).into_iter().for_each(|row| row.state = State::Uploading);
        self.claims.push(claim);
    }

    fn crash(&mut self, at: &Moment) {
        for claim in std::mem::take(&mut self.claims) {
            assert!(self.brand.interrupted(claim.id(), at));
            self.naive.ended(self.file_of(&claim), State::Queued, true);
        }
    }

    /// A file may have been renamed since it was claimed.
    fn file_of(&self, claim: &Claim) -> u8 {
        let path = &self.brand.file(claim.id()).unwrap().path;
        path.file_stem().unwrap().to_str().unwrap().parse().unwrap()
    }

    fn check(&self, event: &Event) {
        assert_eq!(self.brand.check(), Vec::<String>::new(), "{event:?}");
        let name = |file: &Upload| file.path.file_stem().unwrap().to_str().unwrap().parse::<u8>().unwrap();
        let mut ours: Vec<_> =
            self.brand.files().map(|file| (name(file), file.state.name(), file.slot)).collect();
        let mut naive: Vec<_> = self.naive.rows.iter().map(|row| (row.file, row.state, row.slot)).collect();
        ours.sort();
        naive.sort();
        assert_eq!(ours, naive, "{event:?}");
        let working = self.brand.files().filter(|file| file.state.name() == State::Uploading).count();
        assert_eq!(working, self.claims.len(), "every claim has its file, and every such file its claim");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("BRANDPOST_SEQUENCES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_sequence_of_events_breaks_a_rule(events in proptest::collection::vec(event(), 1..60)) {
        let mut run = Run::new();
        for (second, event) in events.iter().enumerate() {
            run.apply(event, &moment(i64::try_from(second).unwrap() * 3));
            run.check(event);
        }
    }
}
