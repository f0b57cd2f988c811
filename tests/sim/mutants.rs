//! Mistakes that are built in, as triggers in the table, to see that the oracle finds them. Those of the rules are found
//! by the rules' own tests (`just mutants`).

use std::path::Path;

use serde::{Deserialize, Serialize};
use sqlx::sqlite::SqliteConnectOptions;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mutant {
    /// A slot is given back when its file was uploaded.
    SlotFreedTwice,
    /// An uploaded file is queued once more.
    SentTwice,
    /// A file that waits is taken for deleted, and its row for ended.
    Forgotten,
    /// A request that intake look again is taken for done at once.
    RequestLost,
}

pub const MUTANTS: [Mutant; 4] =
    [Mutant::SlotFreedTwice, Mutant::SentTwice, Mutant::Forgotten, Mutant::RequestLost];

const SLOT_FREED_TWICE: &str = "
    CREATE TRIGGER mutant AFTER UPDATE OF state ON upload WHEN new.state = 'uploaded'
    BEGIN UPDATE upload SET slot = NULL WHERE id = new.id; END";

const SENT_TWICE: &str = "
    CREATE TRIGGER mutant AFTER UPDATE OF state ON upload WHEN new.state = 'uploaded' AND new.tries = 1
    BEGIN UPDATE upload SET state = 'queued', next_attempt_at = new.updated_at, turn = 0 WHERE id = new.id; END";

const FORGOTTEN: &str = "
    CREATE TRIGGER mutant AFTER UPDATE OF state ON upload WHEN new.state = 'retrying' AND new.tries = 1
    BEGIN UPDATE upload SET state = 'failed', next_attempt_at = NULL, turn = NULL WHERE id = new.id; END";

const REQUEST_LOST: &str = "
    CREATE TRIGGER mutant AFTER UPDATE OF recheck_requested ON upload WHEN new.recheck_requested > new.recheck_done
    BEGIN UPDATE upload SET recheck_done = new.recheck_requested WHERE id = new.id; END";

impl Mutant {
    fn trigger(self) -> &'static str {
        match self {
            Self::SlotFreedTwice => SLOT_FREED_TWICE,
            Self::SentTwice => SENT_TWICE,
            Self::Forgotten => FORGOTTEN,
            Self::RequestLost => REQUEST_LOST,
        }
    }

    /// Builds it into the database at `path`.
    pub async fn build_in(self, path: &Path) {
        let pool = sqlx::SqlitePool::connect_with(SqliteConnectOptions::new().filename(path)).await.unwrap();
        sqlx::query(self.trigger()).execute(&pool).await.unwrap();
        pool.close().await;
    }
}
