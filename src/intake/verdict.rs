//! What is to be recorded of a file that was inspected, if anything yet.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use super::inspect::{Flaw, Inspected};
use super::reconcile::Reconcile;
use super::scan::Entry;
use super::stability;
use crate::config::SlotsBy;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::upload::{Picture, Stamp};
use crate::files::Kind;
use crate::ledger::{InspectedFile, Inspection, UploadSnapshot};

impl Reconcile<'_> {
    /// What is to be recorded of a file that was inspected; `None`: nothing yet.
    pub(super) fn conclude(
        &mut self,
        entry: &Entry,
        answer: io::Result<Option<Inspected>>,
        row: Option<&UploadSnapshot>,
    ) -> Option<InspectedFile> {
        let watch = &self.ctx.settings.watch;
        match answer {
            Ok(Some(Inspected { stamp, result, lacks_end })) => {
                let may_grow = lacks_end || result.as_ref().is_err_and(Flaw::may_be_unfinished);
                // only of those that may grow: others are recorded as soon as the database can be written again
                let stability = &mut self.folder.stability;
                let mut grace = || stability.unfinished(&entry.name, &entry.meta, self.now, watch.grace);
                match may_grow.then(&mut grace).flatten() {
                    Some(end) => {
                        self.wait(entry, end);
                        None
                    }
                    None => Some(match result {
                        Ok(picture) => self.picture(entry, stamp, picture),
                        Err(flaw) => self.found(entry, stamp, Inspection::Rejected(Failure::from(&flaw))),
                    }),
                }
            }
            Ok(None) => {
                self.wait(entry, self.now.steady + watch.settle);
                None
            }
            Err(error) => self.unreadable(entry, &error, row),
        }
    }

    fn unreadable(
        &mut self,
        entry: &Entry,
        error: &io::Error,
        row: Option<&UploadSnapshot>,
    ) -> Option<InspectedFile> {
        let failure = match error.kind() {
            io::ErrorKind::NotFound => return None,
            io::ErrorKind::InvalidInput => Failure::new(ErrorKind::NotAFile, describe(entry.meta.kind)),
            io::ErrorKind::PermissionDenied if row.is_some_and(|row| row.unreadable) => return None,
            io::ErrorKind::PermissionDenied => {
                Failure::new(ErrorKind::Unreadable, "the service's user may not read this file")
            }
            // the program that holds it (Samba for its clients, a scanner) is done in a moment
            io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy if self.is_young(entry) => {
                self.folder.stability.look_again(&entry.name);
                self.wait(entry, self.now.steady + self.ctx.settings.watch.settle);
                return None;
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::ResourceBusy => {
                let error = io::Error::new(error.kind(), "another program holds it");
                self.cannot_be_read(&entry.name, &error);
                return None;
            }
            _ => {
                self.cannot_be_read(&entry.name, error);
                return None;
            }
        };
        Some(self.found(entry, entry.meta.stamp, Inspection::Rejected(failure)))
    }

    /// Did it change within the grace?
    fn is_young(&self, entry: &Entry) -> bool {
        stability::age(&entry.meta, self.now.wall) < Some(self.ctx.settings.watch.grace)
    }

    fn picture(&self, entry: &Entry, stamp: Stamp, picture: Picture) -> InspectedFile {
        let inspection = match self.ctx.settings.slots {
            SlotsBy::Arrival => Inspection::Picture(picture, None),
            SlotsBy::Filename => {
                if let Some(slot) = slot_in_name(&entry.name) {
                    Inspection::Picture(picture, Some(slot))
                } else {
                    let message =
                        "the name gives no slot: with slots.by = \"filename\" it is a number, as in 3.jpg";
                    Inspection::Rejected(Failure::new(ErrorKind::SlotTaken, message))
                }
            }
        };
        self.found(entry, stamp, inspection)
    }

    fn found(&self, entry: &Entry, stamp: Stamp, inspection: Inspection) -> InspectedFile {
        InspectedFile {
            path: self.folder.path.join(&entry.name),
            stamp,
            ctime_ns: entry.meta.ctime_ns,
            inspection,
        }
    }
}

fn describe(kind: Kind) -> String {
    match kind {
        Kind::Link => "a symbolic link, which is not followed".into(),
        Kind::Special(what) => format!("{what}, not a picture"),
        Kind::Regular | Kind::Folder => "not a regular file".into(),
    }
}

/// `3.jpg` asks for slot 3.
fn slot_in_name(name: &OsStr) -> Option<u32> {
    let stem = Path::new(name).file_stem()?.to_str()?;
    let number = stem.bytes().all(|byte| byte.is_ascii_digit()).then(|| stem.parse().ok())?;
    number.filter(|slot| *slot > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_is_a_number_gives_the_slot() {
        let table = [
            ("3.jpg", Some(3)),
            ("03.png", Some(3)),
            ("10", Some(10)),
            ("0.jpg", None),
            ("a3.jpg", None),
            ("3 .jpg", None),
            (".jpg", None),
        ];
        for (name, slot) in table {
            assert_eq!(slot_in_name(OsStr::new(name)), slot, "{name}");
        }
    }
}
