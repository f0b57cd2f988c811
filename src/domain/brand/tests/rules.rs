//! Single rules, each with the few steps that show it.

use std::time::Duration;

use super::{at, brand, found, inbox, moment, path};
use crate::domain::brand::intake::MAX_GONE;
use crate::domain::brand::{
    Absent, AttemptEnd, Brand, Claim, ClaimTerms, Displaced, Inbox, InboxId, Moment, Refusal, UploadId,
    UploadState,
};
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::upload::State;

const TERMS: ClaimTerms = ClaimTerms { lease: Duration::from_mins(1), horizon: Duration::from_hours(1) };

fn take_in(brand: &mut Brand, file: u8, content: u8) -> (State, Option<u32>) {
    let result = brand.take_in(&found(file, content, None), Absent::default(), &moment(0));
    (result.state, result.slot)
}

fn claim(brand: &mut Brand, file: u8) -> Claim {
    let id = at(brand, file).id;
    brand.start(id, TERMS, &moment(10)).unwrap()
}

fn upload(brand: &mut Brand, file: u8) {
    let claim = claim(brand, file);
    let end = AttemptEnd::Uploaded {
        object_url: "http://x/y".into(),
        etag: "E".into(),
        request_id: None,
        bytes: 1,
        recheck: false,
    };
    assert!(brand.finish(&claim, &end, Duration::ZERO, &moment(2)));
}

fn kind(brand: &Brand, file: u8) -> Option<ErrorKind> {
    at(brand, file).error_kind()
}

#[test]
fn the_lowest_free_slot_is_given_until_none_is_left() {
    let mut brand = brand();
    let given: Vec<_> = (1..=4).map(|file| take_in(&mut brand, file, file)).collect();
    let queued = |slot| (State::Queued, Some(slot));
    assert_eq!(given, [queued(1), queued(2), queued(3), (State::Rejected, None)]);
    assert_eq!(kind(&brand, 4), Some(ErrorKind::LimitReached));
}

#[test]
fn the_oldest_that_waits_takes_a_slot_that_is_released() {
    let mut brand = brand();
    (1..=5).for_each(|file| {
        take_in(&mut brand, file, file);
    });
    upload(&mut brand, 2);
    brand.release(&[2], &moment(3)).unwrap();
    assert_eq!((at(&brand, 4).state.name(), at(&brand, 4).slot), (State::Queued, Some(2)));
    assert_eq!((at(&brand, 2).state.name(), at(&brand, 2).slot), (State::Uploaded, None));
    assert_eq!(at(&brand, 5).state.name(), State::Rejected);
}

#[test]
fn a_slot_whose_file_is_still_to_be_sent_is_not_released() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    assert!(matches!(brand.release(&[1], &moment(1)), Err(Refusal::StillToBeSent { slot: 1, .. })));
    assert!(matches!(brand.release(&[2], &moment(1)), Err(Refusal::FreeAlready { slot: 2, .. })));
    for slot in [0, brand.slots_total + 1] {
        assert!(matches!(brand.release(&[slot], &moment(1)), Err(Refusal::NoSuchSlot { .. })));
    }
}

#[test]
fn a_copy_is_looked_at_again_when_its_original_goes() {
    let mut brand = brand();
    take_in(&mut brand, 1, 7);
    assert_eq!(take_in(&mut brand, 2, 7), (State::Rejected, None));
    assert_eq!(kind(&brand, 2), Some(ErrorKind::Duplicate));
    assert!(!at(&brand, 2).recheck.is_open());
    let original = at(&brand, 1).id;
    brand.vanished(&[original], &moment(1));
    assert!(at(&brand, 2).recheck.is_open());
    assert_eq!(take_in(&mut brand, 2, 7), (State::Queued, Some(1)));
}

#[test]
fn only_the_holder_of_a_claim_ends_it() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    let first = claim(&mut brand, 1);
    assert!(brand.interrupted(first.id(), &moment(2)));
    let second = claim(&mut brand, 1);
    let end = AttemptEnd::Failed { failure: Failure::new(ErrorKind::OssRejected, "no"), sent: true };
    assert!(!brand.finish(&first, &end, Duration::ZERO, &moment(3)));
    assert_eq!(at(&brand, 1).state.name(), State::Uploading);
    assert!(brand.finish(&second, &end, Duration::ZERO, &moment(3)));
}

#[test]
fn a_renamed_file_keeps_row_and_slot() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    upload(&mut brand, 1);
    let id = at(&brand, 1).id;
    let absent = Absent { missing: &[id], relocated: &[] };
    let result = brand.take_in(&found(9, 1, None), absent, &moment(3));
    assert_eq!((result.id, result.state, result.slot), (id, State::Uploaded, Some(1)));
    assert!(brand.file_at(inbox().id, &path(1)).is_none());
}

#[test]
fn a_name_whose_row_came_to_nothing_makes_room_for_a_renamed_file() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    take_in(&mut brand, 2, 0);
    let (id, stale) = (at(&brand, 1).id, at(&brand, 2).id);
    let absent = Absent { missing: &[id], relocated: &[] };
    assert_eq!(brand.take_in(&found(2, 1, None), absent, &moment(3)).id, id);
    assert!(brand.file(stale).is_none());
}

#[test]
fn a_file_whose_bytes_are_on_oss_is_not_gone_when_it_is_deleted() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    upload(&mut brand, 1);
    let id = at(&brand, 1).id;
    brand.retry(id, &moment(3)).unwrap();
    assert_eq!(brand.vanished(&[id], &moment(4)), 0);
    assert_eq!((at(&brand, 1).state.name(), at(&brand, 1).slot), (State::Uploaded, Some(1)));
    // an attempt whose answer was lost leaves something that nobody knows
    brand.retry(id, &moment(5)).unwrap();
    let claim = brand.start(id, TERMS, &moment(5)).unwrap();
    assert!(brand.interrupted(claim.id(), &moment(6)));
    assert_eq!(brand.vanished(&[id], &moment(7)), 1);
    assert_eq!((at(&brand, 1).state.name(), at(&brand, 1).slot), (State::Gone, Some(1)));
}

#[test]
fn new_content_in_the_same_slot_is_the_next_revision() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    upload(&mut brand, 1);
    assert_eq!(take_in(&mut brand, 1, 2), (State::Queued, Some(1)));
    assert_eq!(at(&brand, 1).revision, 2);
    // damaged for a while, then as it was sent: nothing is sent again
    upload(&mut brand, 1);
    assert_eq!(take_in(&mut brand, 1, 0), (State::Rejected, Some(1)));
    assert_eq!(take_in(&mut brand, 1, 2), (State::Uploaded, Some(1)));
    assert_eq!(at(&brand, 1).revision, 2);
}

#[test]
fn files_from_before_a_rebuild_are_held_until_an_operator_says_what_they_are() {
    let mut brand = brand();
    let mut then = moment(0);
    then.hold_before = Some(then.now);
    brand.take_in(&found(1, 1, None), Absent::default(), &then);
    let id = at(&brand, 1).id;
    assert!(at(&brand, 1).state.is_held());
    assert!(brand.start(id, TERMS, &moment(1)).is_none());
    assert_eq!(brand.clone().adopt(&moment(2)), 1);
    brand.retry(id, &moment(2)).unwrap();
    assert!(brand.start(id, TERMS, &moment(3)).is_some());
}

#[test]
fn nothing_is_claimed_before_it_is_due_nor_while_uploads_are_suspended() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    let id = at(&brand, 1).id;
    let mut suspended = moment(1);
    suspended.suspended = true;
    assert!(brand.start(id, TERMS, &suspended).is_none());
    assert!(brand.start(id, TERMS, &moment(-1)).is_none(), "it is due a second later");
    assert!(brand.start(id, TERMS, &moment(-4000)).is_some(), "a clock that jumped tells no due time");
}

#[test]
fn a_file_that_fails_goes_behind_those_that_wait_for_their_first_turn() {
    let mut brand = brand();
    (1..=3).for_each(|file| {
        take_in(&mut brand, file, file);
    });
    let turns: Vec<_> = (1..=3).map(|file| at(&brand, file).state.turn()).collect();
    assert_eq!(turns, [Some(0), Some(1), Some(2)]);
    let claim = claim(&mut brand, 1);
    let failure = Failure::new(ErrorKind::Network, "no route");
    let end = AttemptEnd::Retry { failure, due: moment(9).now, recheck: false, sent: false };
    brand.finish(&claim, &end, Duration::ZERO, &moment(2));
    assert_eq!(at(&brand, 1).state.turn(), Some(3));
}

#[test]
fn files_that_wait_make_room_for_a_reservation() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    take_in(&mut brand, 2, 2);
    let displaced = brand.reserve(&[1], &moment(1)).unwrap();
    assert_eq!(displaced, [Displaced { path: at(&brand, 1).path.clone(), slot: Some(3) }]);
    assert_eq!((at(&brand, 1).state.name(), at(&brand, 1).slot), (State::Queued, Some(3)));
    let displaced = brand.reserve(&[1, 2, 2], &moment(2)).unwrap();
    assert_eq!(displaced, [Displaced { path: at(&brand, 2).path.clone(), slot: None }]);
    assert_eq!(at(&brand, 2).error_kind(), Some(ErrorKind::LimitReached));
    brand.release(&[1], &moment(3)).unwrap();
    assert_eq!((at(&brand, 2).state.name(), at(&brand, 2).slot), (State::Queued, Some(1)));
}

#[test]
fn what_is_held_is_held_in_another_slot_too() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    let held = brand.file_mut(UploadId(1)).unwrap();
    if let UploadState::Queued { held, .. } = &mut held.state {
        *held = true;
    }
    brand.reserve(&[1], &moment(1)).unwrap();
    assert!(at(&brand, 1).state.is_held());
    assert_eq!(at(&brand, 1).slot, Some(2));
}

#[test]
fn what_may_be_on_oss_makes_room_for_no_reservation() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    upload(&mut brand, 1);
    assert!(matches!(brand.reserve(&[1], &moment(1)), Err(Refusal::Taken { slot: 1, .. })));
}

#[test]
fn what_operators_cannot_have_is_said_and_changes_nothing() {
    let mut brand = brand();
    take_in(&mut brand, 1, 1);
    let id = at(&brand, 1).id;
    assert_eq!(brand.retry(UploadId(99), &moment(1)), Err(Refusal::Unknown(UploadId(99))));
    assert!(matches!(brand.reserve(&[4], &moment(1)), Err(Refusal::NoSuchSlot { slot: 4, total: 3, .. })));
    claim(&mut brand, 1);
    assert_eq!(brand.reserve(&[1], &moment(1)), Err(Refusal::BeingSent(id)));
    assert_eq!(brand.retry(id, &moment(1)), Err(Refusal::BeingSent(id)));
    assert!(matches!(at(&brand, 1).state, UploadState::Uploading { .. }));
}

/// Who may write in a brand's folder drops a crowd of files, takes them away, and drops others.
#[test]
fn of_files_that_came_to_nothing_only_the_last_are_remembered() {
    let mut brand = brand();
    for file in 1..=3 {
        take_in(&mut brand, file, file);
    }
    upload(&mut brand, 1);
    // something of it may be on OSS: its slot stays taken
    let claim = claim(&mut brand, 2);
    let failure = Failure::new(ErrorKind::Timeout, "no answer");
    let end = AttemptEnd::Retry { failure, due: moment(9).now, recheck: false, sent: true };
    assert!(brand.finish(&claim, &end, Duration::ZERO, &moment(2)));
    let crowd: Vec<_> = (0..MAX_GONE + 10)
        .map(|number| {
            let mut file = found(0, 0, None);
            file.path = format!("/inbox/OWNBRAND/1001/junk{number}.jpg").into();
            brand.take_in(&file, Absent::default(), &moment(3)).id
        })
        .collect();
    let ids: Vec<_> = [1, 2, 3].iter().map(|file| at(&brand, *file).id).collect();
    let gone = brand.vanished(&ids, &moment(4)) + brand.vanished(&crowd, &moment(5));
    assert_eq!(gone, 2 + crowd.len() as u64);
    assert_eq!((at(&brand, 1).state.name(), at(&brand, 1).slot), (State::Uploaded, Some(1)));
    assert_eq!((at(&brand, 2).state.name(), at(&brand, 2).slot), (State::Gone, Some(2)));
    let nothing = brand.files().filter(|file| file.slot.is_none());
    let kept: Vec<_> = nothing.map(|file| file.id).collect();
    assert_eq!(kept, crowd[10..], "the last ones, so that no number is given twice");
}

#[test]
fn a_row_whose_folder_is_renamed_replaces_only_one_that_came_to_nothing() {
    let mut brand = brand();
    (1..=2).for_each(|file| {
        take_in(&mut brand, file, file);
    });
    take_in(&mut brand, 3, 0);
    let (first, damaged) = (at(&brand, 1).id, at(&brand, 3).id);
    assert!(!brand.moved(first, &path(2), &moment(1)), "a file that waits keeps its row");
    assert!(brand.moved(first, &path(3), &moment(1)));
    assert_eq!((at(&brand, 3).id, at(&brand, 3).slot), (first, Some(1)));
    assert!(brand.file(damaged).is_none() && brand.file_at(inbox().id, &path(1)).is_none());
    let gone = at(&brand, 2).id;
    brand.vanished(&[gone], &moment(2));
    assert!(!brand.moved(gone, &path(9), &moment(3)), "what is gone stays gone");
}

/// Two hosts have folders of the same names, and share the slots.
#[test]
fn the_same_path_on_another_host_is_another_file() {
    let mut brand = brand();
    let there = Moment { inbox: Inbox::new(InboxId(2), "hz-2"), ..moment(1) };
    let mine = brand.take_in(&found(1, 1, None), Absent::default(), &moment(0)).id;
    let theirs = brand.take_in(&found(1, 2, None), Absent::default(), &there).id;
    let copy = brand.take_in(&found(2, 1, None), Absent::default(), &there);
    assert_ne!(mine, theirs);
    assert_eq!((brand.file(mine).unwrap().slot, brand.file(theirs).unwrap().slot), (Some(1), Some(2)));
    let message = copy.rejected.unwrap().message;
    assert_eq!(message, "the same picture is there already as 1.jpg in the inbox hz-1");
    // nobody claims another's, or makes it due
    let terms = ClaimTerms { lease: Duration::from_mins(1), horizon: Duration::from_hours(1) };
    assert!(brand.start(mine, terms, &there).is_none() && brand.start(theirs, terms, &there).is_some());
    assert_eq!(brand.check(), [""; 0]);
}
