//! Why nothing moves, for people, for as long as nothing does.

use jiff::Timestamp;

use super::Ledger;
use super::engine::sql;
use super::error::Result;
use crate::domain::clock::rfc3339;
use crate::domain::notice::NoticeName;

const SET: &str = "
    INSERT INTO notice (inbox_id, name, message, since, open) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name, inbox_id) DO UPDATE SET message = excluded.message";

const SET_PAUSED: &str = "
    INSERT INTO notice (inbox_id, name, message, since, next_at) VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (name, inbox_id) DO UPDATE SET message = excluded.message, next_at = excluded.next_at";

const CLEAR: &str = "DELETE FROM notice WHERE name = $2 AND (inbox_id = $1 OR name = 'suspended')";

/// A suspension is one for all hosts.
const ONE_SUSPENSION: &str = "DELETE FROM notice WHERE name = 'suspended' AND inbox_id <> $1";

impl Ledger {
    /// Sends nothing from now on, until `resume`, also after a restart; what is being sent ends. Files are
    /// taken in meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn suspend(&self, why: &str) -> Result<()> {
        let message = match why {
            "" => "uploads are paused by an operator; `brandpost resume` lets them go on".to_owned(),
            why => format!("uploads are paused by an operator: {why}; `brandpost resume` lets them go on"),
        };
        self.set_notice(NoticeName::Suspended, &message).await
    }

    /// Lets uploads go on. False when they were not suspended.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn resume(&self) -> Result<bool> {
        let suspended =
            self.report().notices().await?.iter().any(|notice| notice.name == NoticeName::Suspended);
        if suspended {
            self.clear_notice(NoticeName::Suspended).await?;
        }
        Ok(suspended)
    }

    /// Says why everything waits, until `clear_notice`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_notice(&self, name: NoticeName, message: &str) -> Result<()> {
        self.write_notice(name, message, &self.now_text(), false).await
    }

    /// Says why publish waits, and until when at least.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn set_paused(&self, message: &str, next: Timestamp) -> Result<()> {
        let mut tx = self.begin().await?;
        let (now, next) = (self.now_text(), rfc3339(next));
        sql(SET_PAUSED)
            .bind(self.inbox_id())
            .bind(NoticeName::Paused.as_str())
            .bind(message)
            .bind(now)
            .bind(next)
            .execute(&mut tx)
            .await?;
        self.commit(tx).await
    }

    /// `open`: what it concerns may still be found.
    pub(super) async fn write_notice(
        &self,
        name: NoticeName,
        message: &str,
        since: &str,
        open: bool,
    ) -> Result<()> {
        let mut tx = self.begin().await?;
        let inbox = self.inbox_id();
        if name == NoticeName::Suspended {
            sql(ONE_SUSPENSION).bind(inbox).execute(&mut tx).await?;
        }
        let query = sql(SET).bind(inbox).bind(name.as_str()).bind(message).bind(since).bind(open);
        query.execute(&mut tx).await?;
        self.commit(tx).await?;
        self.tell_others_of(name).await;
        Ok(())
    }

    /// Takes a notice back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn clear_notice(&self, name: NoticeName) -> Result<()> {
        let mut tx = self.begin().await?;
        let gone = sql(CLEAR).bind(self.inbox_id()).bind(name.as_str()).execute(&mut tx).await?;
        if gone == 0 {
            return Ok(());
        }
        self.commit(tx).await?;
        self.tell_others_of(name).await;
        Ok(())
    }

    /// A suspension is all hosts'.
    async fn tell_others_of(&self, notice: NoticeName) {
        if notice == NoticeName::Suspended {
            self.notify_others().await;
        }
    }
}
