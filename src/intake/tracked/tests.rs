use super::*;
use crate::domain::brand::BrandId;

const PATH: &str = "/inbox/OWNBRAND/1";

fn found(identity: Option<Identity>) -> BrandFolder {
    BrandFolder { path: PATH.into(), brand: "OWNBRAND/1".parse().unwrap(), label: None, identity }
}

fn registered() -> TrackedFolders {
    let mut folders = TrackedFolders::default();
    folders.set_presence(&[found(Some((1, 2)))], |_| false);
    let brand = BrandRow { id: BrandId(1), brand: "OWNBRAND/1".parse().unwrap() };
    let job = Job::Idle(Box::new(Folder::new(brand, PATH.into())));
    folders.update(Path::new(PATH), |folder| folder.job = job);
    folders
}

#[test]
fn a_folder_is_handed_out_once_and_counted_while_it_is_scanned() {
    let mut folders = registered();
    assert_eq!(folders.totals().first_scans_pending, 1);
    folders.update(Path::new(PATH), |folder| folder.closed.insert("a.jpg".into()));
    let folder = folders.begin_scan(Path::new(PATH)).unwrap();
    assert!(folder.stability.is_pending("a.jpg".as_ref()) && !folder.removed);
    assert_eq!(folders.totals().scanning, 1);
    assert!(folders.begin_scan(Path::new(PATH)).is_none());
    folders.remove(Path::new(PATH));
    assert_eq!(folders.totals(), Totals::default());
}

#[test]
fn names_that_are_closed_while_a_scan_goes_on_are_remembered_up_to_a_number() {
    let mut folder = TrackedFolder::new("OWNBRAND/1".parse().unwrap());
    for look in 0..3 {
        folder.note_closed((0..MAX_NAMES).map(|number| format!("{look}-{number}").into()).collect());
        assert_eq!(folder.closed.len(), MAX_NAMES);
    }
}

#[test]
fn a_folder_is_scanned_when_it_is_quiet_but_not_for_ever_later() {
    let (mut folder, start) = (TrackedFolder::new("OWNBRAND/1".parse().unwrap()), Instant::now());
    assert_eq!(folder.gather(start, true), None, "a long copy is no reason to hurry");
    let at = |events: u32| start + GATHER / 2 * events;
    let first = folder.gather(start, false).unwrap();
    assert_eq!((first.before, first.until), (start, start + GATHER));
    let second = folder.gather(at(1), true).unwrap();
    assert_eq!((second.before, second.until), (first.until, at(1) + GATHER));
    let last = (2..99).map(|event| folder.gather(at(event), false).unwrap()).last().unwrap();
    assert_eq!(last.until, start + LONGEST_GATHER);
}

#[test]
fn another_folder_in_its_place_is_a_change_and_what_is_unknown_is_none() {
    let mut folders = registered();
    let changed = |folders: &mut TrackedFolders| {
        folders.update(Path::new(PATH), |folder| std::mem::take(&mut folder.presence_changed)).unwrap()
    };
    assert!(changed(&mut folders), "it is new");
    folders.set_presence(&[found(Some((1, 2)))], |_| false);
    folders.set_presence(&[], |_| true);
    assert!(!changed(&mut folders));
    folders.set_presence(&[found(Some((1, 3)))], |_| false);
    assert!(changed(&mut folders));
    folders.set_presence(&[], |_| false);
    assert!(changed(&mut folders) && !folders.is_listed(Path::new(PATH)));
    assert!(folders.begin_scan(Path::new(PATH)).unwrap().removed);
}

#[test]
fn a_folder_that_was_never_registered_is_forgotten_when_it_is_removed() {
    let mut folders = TrackedFolders::default();
    folders.set_presence(&[found(None)], |_| false);
    assert!(folders.is_unregistered(Path::new(PATH)));
    folders.set_presence(&[], |_| false);
    assert_eq!((folders.folders.len(), folders.totals()), (0, Totals::default()));
}
