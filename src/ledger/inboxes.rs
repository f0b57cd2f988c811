//! All inboxes that share the brands: who keeps each, which hosts are away, and the end of one that never comes back.

use jiff::{SignedDuration, Timestamp};

use super::engine::{Pool, postgres, sql};
use super::error::{LedgerError, Result};
use super::queue::Candidate;
use super::report::{InboxRow, Report};
use super::store::Brands;
use super::{Ledger, inbox};
use crate::domain::brand::{InboxId, Moment};
use crate::domain::notice::NoticeName;

pub(super) const ALL: &str = "SELECT * FROM inbox_status ORDER BY inbox";

/// The keeper with the lowest number speaks for all.
const SPEAKER: &str = "SELECT min(id) AS id FROM inbox WHERE lease_until > brandpost_time()";

/// Its keeper, should it come back, finds another epoch.
const END: &str = "
    UPDATE inbox SET retired_at = $2, keeper = NULL, lease_until = NULL, epoch = epoch + 1 WHERE id = $1";

const FORGET_NOTICES: &str = "DELETE FROM notice WHERE inbox_id = $1";
pub(super) const FORGET_READING: &str = "DELETE FROM reading WHERE inbox_id = $1";

/// Its daemon has not come back.
const IS_ENDED: &str = "SELECT count(*) FROM inbox WHERE id = $1 AND retired_at IS NOT NULL";

/// What is not sent, and what was refused, for as long as its daemon has not come back.
pub(super) const UNSENT: &str = "
    SELECT id, brand_id FROM upload
    WHERE inbox_id = (SELECT id FROM inbox WHERE id = $1 AND retired_at IS NOT NULL) AND state IN ('queued', 'uploading', 'retrying', 'failed', 'rejected')
    ORDER BY brand_id, id LIMIT $2";

/// So many files are ended in one transaction at most.
const AT_ONCE: u32 = 500;

impl InboxRow {
    /// How many files wait for its keeper.
    pub fn waiting(&self) -> i64 {
        self.queued + self.uploading + self.retrying
    }

    /// Does a daemon keep it now? With SQLite the lock file says so.
    pub fn is_kept(&self, now: Timestamp) -> bool {
        time(self.lease_until.as_deref()).is_some_and(|until| until > now)
    }

    /// Files that wait for a host which was not heard of for so long.
    pub fn is_away(&self, now: Timestamp, long: SignedDuration) -> bool {
        let end = time(self.lease_until.as_deref());
        self.waiting() > 0
            && self.retired_at.is_none()
            && end.is_some_and(|end| now.duration_since(end) >= long)
    }
}

/// What is said of hosts that are away; nothing, if none is.
fn away_text(away: &[InboxRow]) -> Option<String> {
    let [first, rest @ ..] = away else { return None };
    let InboxRow { inbox, host, .. } = first;
    if !rest.is_empty() {
        let names: Vec<_> = away.iter().map(|inbox| inbox.inbox.as_str()).collect();
        let (count, names) = (away.len(), names.join(", "));
        return Some(format!(
            "files wait for {count} hosts that are away: {names}; `brandpost inboxes` lists them"
        ));
    }
    let files = first.waiting();
    let seen = first.seen_at.as_deref().unwrap_or("never");
    Some(format!(
        "{files} files wait for host {host} (inbox {inbox}), last seen {seen}; if it never comes back: `brandpost inboxes retire {inbox}`"
    ))
}

fn time(text: Option<&str>) -> Option<Timestamp> {
    text.and_then(|text| text.parse().ok())
}

impl Report {
    /// All inboxes that a daemon has ever kept.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn inboxes(&self) -> Result<Vec<InboxRow>> {
        sql(ALL).all(self.pool()).await?.iter().map(InboxRow::read).collect()
    }
}

impl Ledger {
    /// Says with a notice which hosts are away, with files that wait for them: one of the hosts that are not, for all.
    /// `long`: those that were heard of since then are not told of.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn note_hosts_away(&self, long: SignedDuration) -> Result<()> {
        let Pool::Postgres(_) = self.report().pool() else { return Ok(()) };
        let speaker: Option<i64> = sql(SPEAKER).scalar(self.report().pool()).await?;
        let away = match speaker == Some(self.inbox_id()) {
            true => self.hosts_away(long).await?,
            false => Vec::new(),
        };
        let text = away_text(&away);
        let notices = self.report().notices().await?;
        let said = notices.into_iter().find(|notice| notice.name == NoticeName::Away);
        match (text, said) {
            (None, None) => Ok(()),
            (None, Some(_)) => self.clear_notice(NoticeName::Away).await,
            (Some(text), Some(said)) if said.message == text => Ok(()),
            (Some(text), _) => self.set_notice(NoticeName::Away, &text).await,
        }
    }

    async fn hosts_away(&self, long: SignedDuration) -> Result<Vec<InboxRow>> {
        let now = self.now();
        let all = self.report().inboxes().await?;
        Ok(all.into_iter().filter(|inbox| inbox.is_away(now, long)).collect())
    }

    /// Ends an inbox that never comes back: files that are not sent are gone and give their slots back, sent ones keep
    /// theirs. Gives back how many are gone.
    ///
    /// # Errors
    /// When there is none of this name, or a daemon keeps it.
    pub async fn retire_inbox(&self, name: &str) -> Result<u64> {
        let id = self.end_inbox(name).await?;
        let mut gone = 0;
        loop {
            let rows = sql(UNSENT).bind(id.0).bind(AT_ONCE).all(self.report().pool()).await?;
            let files: Vec<_> = rows.iter().map(Candidate::read).collect::<Result<_>>()?;
            if files.is_empty() {
                self.note_external_write();
                let is_ended: i64 = sql(IS_ENDED).bind(id.0).scalar(self.report().pool()).await?;
                return match is_ended {
                    0 => Err(LedgerError::Inbox(format!(
                        "the daemon of the inbox {name} came back meanwhile: {gone} files are gone, the others are its own again"
                    ))),
                    _ => Ok(gone),
                };
            }
            let brands = files.iter().map(|file| file.brand).collect();
            let end = move |brands: &mut Brands, at: &Moment| {
                let mut gone = 0;
                for file in &files {
                    let Some(brand) = brands.get_mut(&file.brand) else { continue };
                    brand.interrupted(file.id, at);
                    gone += brand.vanished(&[file.id], at);
                }
                Ok(gone)
            };
            gone += self.update_all(brands, end).await?;
        }
    }

    async fn end_inbox(&self, name: &str) -> Result<InboxId> {
        let unknown = |what: String| Err(LedgerError::Inbox(what));
        let Pool::Postgres(_) = self.report().pool() else {
            return unknown("there is one inbox, this host's: it cannot be retired".into());
        };
        let mut tx = self.begin().await?;
        let Some(row) = sql(inbox::ASK).bind(name).optional(&mut tx).await? else {
            return unknown(format!("there is no inbox {name}; `brandpost inboxes` lists them"));
        };
        if row.get("kept")? {
            let host: &str = row.get("host")?;
            return unknown(format!("the inbox {name} is kept by the daemon on {host}; stop that first"));
        }
        let id = InboxId(row.get("id")?);
        sql(postgres::TAKE_OVER).bind(id.0).execute(&mut tx).await?;
        sql(END).bind(id.0).bind(self.now_text()).execute(&mut tx).await?;
        sql(FORGET_NOTICES).bind(id.0).execute(&mut tx).await?;
        sql(FORGET_READING).bind(id.0).execute(&mut tx).await?;
        self.commit(tx).await?;
        self.notify_others().await;
        Ok(id)
    }
}
