//! Lists for people and pages: filtered, the latest first, a page at a time, from an index also with a million
//! rows.

use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use super::engine::{Engine, Statement, Value, sql};
use super::error::Result;
use super::report::{Report, StatusRow, SummaryRow};
use crate::domain::brand::{BrandKey, BrandType, UploadId};
use crate::domain::clock::rfc3339;
use crate::domain::failure::ErrorKind;
use crate::domain::upload::State;
use serde::Serialize;

const FOUND: &str = "WITH found (place, type, record, path) AS (";

const UNKNOWN: &str = ")
    SELECT f.place FROM found f
    WHERE NOT EXISTS (SELECT 1 FROM brand b JOIN upload u ON u.brand_id = b.id
                      WHERE b.type = f.type AND b.record_id = f.record AND u.path_bytes = f.path
                        AND u.state <> 'gone' AND u.inbox_id = ";

/// So many files are asked for at a time.
const FILES: usize = 1000;

pub(super) const CHANGED_AFTER: &str = "
    SELECT * FROM upload_status WHERE (updated_at, id) > ($1, $2) ORDER BY updated_at, id LIMIT $3";

/// Other hosts commit what they began a moment ago: as far as rows are shown, nothing comes in between any more.
const CHANGED_AFTER_POSTGRES: &str = "
    SELECT * FROM upload_status
    WHERE (updated_at, id) > ($1, $2) AND updated_at <= brandpost_time(INTERVAL '-1 second')
    ORDER BY updated_at, id LIMIT $3";

pub(super) const TAKEN: &str = "
    SELECT u.slot, u.id, u.state, u.file_name, u.revision, u.updated_at, u.error_kind
    FROM upload u JOIN brand b ON b.id = u.brand_id
    WHERE b.type = $1 AND b.record_id = $2 AND u.slot IS NOT NULL
    UNION ALL SELECT r.slot, NULL, NULL, NULL, NULL, NULL, NULL
    FROM reserved_slot r JOIN brand b ON b.id = r.brand_id WHERE b.type = $1 AND b.record_id = $2
    ORDER BY 1";

/// Which files are listed.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this brand's.
    pub brand: Option<BrandKey>,
    /// Only what is in this inbox.
    pub inbox: Option<String>,
    /// Only these states; all when empty.
    pub states: Vec<State>,
    /// Only files whose name, or whose brand's, has this in it.
    pub text: Option<String>,
    /// Only what changed since, RFC 3339 UTC.
    pub since: Option<String>,
    /// Only what comes after this one in the list.
    pub after: Option<Cursor>,
    /// At most so many, the latest first.
    pub limit: Option<u32>,
}

/// A place in the list of files: the last row that was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    updated_at: String,
    id: UploadId,
}

impl Cursor {
    /// Does it lie in the future? Then the clock was set back, and what changes now sorts before it.
    pub fn is_ahead_of(&self, now: jiff::Timestamp) -> bool {
        self.updated_at > rfc3339(now)
    }

    /// At this moment.
    pub fn at(moment: jiff::Timestamp) -> Self {
        Self { updated_at: rfc3339(moment), id: UploadId(0) }
    }

    /// Behind this row.
    pub fn behind(row: &StatusRow) -> Self {
        Self { updated_at: row.updated_at.clone(), id: row.id }
    }
}

impl Report {
    /// Which of these files have no row, or one that says that they are gone, by their place in the list.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn unknown(&self, files: &[(BrandKey, PathBuf)]) -> Result<Vec<usize>> {
        let mut unknown = Vec::new();
        for (at, files) in files.chunks(FILES).enumerate() {
            let row = |(place, (brand, path)): (usize, &(BrandKey, PathBuf))| {
                let place = i64::try_from(at * FILES + place).unwrap_or(i64::MAX);
                let path = path.as_os_str().as_bytes();
                let (kind, record) = (brand.kind().as_str(), brand.record());
                vec![Value::from(place), Value::from(kind), Value::from(record), Value::from(path)]
            };
            let mut query = sql(FOUND);
            query.push_rows(files.iter().enumerate().map(row));
            query.push(UNKNOWN).push_bind(self.inbox().id.0).push(") ORDER BY 1");
            for row in query.all(self.pool()).await? {
                unknown.push(row.first::<i64>()?);
            }
        }
        Ok(unknown.into_iter().filter_map(|at| usize::try_from(at).ok()).collect())
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}", self.updated_at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let parts = text.rsplit_once('_').and_then(|(time, id)| Some((time.to_owned(), id.parse().ok()?)));
        let (updated_at, id) = parts.ok_or_else(|| format!("{text:?} is no place in the list"))?;
        Ok(Self { updated_at, id })
    }
}

/// A slot that is taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named as the columns of `TAKEN`")]
pub struct Taken {
    pub slot: i64,
    /// Filled by other means; nothing else is known of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reserved: bool,
    #[serde(flatten)]
    pub file: Option<TakenBy>,
}

/// The file that has a slot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "named as the columns of `TAKEN`")]
pub struct TakenBy {
    pub id: UploadId,
    pub state: State,
    pub file_name: String,
    pub revision: i64,
    pub updated_at: String,
    pub error_kind: Option<ErrorKind>,
}

impl Report {
    /// Files, the latest change first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn uploads(&self, filter: &Filter) -> Result<Vec<StatusRow>> {
        let mut query = sql("");
        // one list a state, merged: each comes from the index in its order, however many rows there are
        match (&*filter.states, filter.limit) {
            ([first, rest @ ..], Some(limit)) if !rest.is_empty() => {
                query.push("SELECT * FROM (");
                select(&mut query, filter, Some(&[*first]));
                for state in rest {
                    query.push(" UNION ALL ");
                    select(&mut query, filter, Some(&[*state]));
                }
                query.push(") AS files ORDER BY updated_at DESC, id DESC LIMIT ").push_bind(limit);
            }
            (states, _) => select(&mut query, filter, Some(states).filter(|states| !states.is_empty())),
        }
        let rows = query.all(self.pool()).await?;
        rows.iter().map(StatusRow::read).collect()
    }

    /// Files that changed after this one, the earliest change first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn changed_after(&self, cursor: &Cursor, limit: u32) -> Result<Vec<StatusRow>> {
        let text = match self.pool().engine() {
            Engine::Sqlite => CHANGED_AFTER,
            Engine::Postgres => CHANGED_AFTER_POSTGRES,
        };
        let query = sql(text);
        let rows = query.bind(&cursor.updated_at).bind(cursor.id.0).bind(limit).all(self.pool()).await?;
        rows.iter().map(StatusRow::read).collect()
    }

    /// Brands with their slots and counts, own ones first, by number. `text` is part of a brand's name or of the
    /// name of one of its files.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn brands(
        &self,
        text: Option<&str>,
        after: Option<BrandKey>,
        limit: Option<u32>,
    ) -> Result<Vec<SummaryRow>> {
        let mut brands = Vec::new();
        // two walks along the index: sorted by the type's name, the others would come first
        for kind in [BrandType::Own, BrandType::Other] {
            let behind = match after {
                Some(after) if after.kind() == kind => after.record(),
                Some(after) if kind == BrandType::Own && after.kind() == BrandType::Other => continue,
                _ => 0,
            };
            let mut query = sql("SELECT * FROM brand_summary WHERE brand_type = ");
            query.push_bind(kind.as_str()).push(" AND brand_id > ").push_bind(behind);
            if let Some(text) = text {
                query.push(" AND (lower(brand_type || '/' || brand_id || ' ' || coalesce(label, '')) LIKE ");
                query.push_bind(like(text));
                query.push(" ESCAPE '\\' OR brand_id IN (SELECT b.record_id FROM upload u JOIN brand b ON b.id = u.brand_id WHERE b.type = ");
                query
                    .push_bind(kind.as_str())
                    .push(" AND lower(u.file_name) LIKE ")
                    .push_bind(like(text))
                    .push(" ESCAPE '\\'))");
            }
            query.push(" ORDER BY brand_id");
            if let Some(limit) = limit {
                let left = limit.saturating_sub(u32::try_from(brands.len()).unwrap_or(limit));
                query.push(" LIMIT ").push_bind(left);
            }
            let rows = query.all(self.pool()).await?;
            for row in &rows {
                brands.push(SummaryRow::read(row)?);
            }
        }
        Ok(brands)
    }

    /// The slots of a brand that are taken, in their order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn taken(&self, brand: BrandKey) -> Result<Vec<Taken>> {
        let query = sql(TAKEN);
        let rows = query.bind(brand.kind().as_str()).bind(brand.record()).all(self.pool()).await?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let file = match row.get::<Option<UploadId>>("id")? {
                Some(id) => Some(TakenBy {
                    id,
                    state: row.get("state")?,
                    file_name: row.get("file_name")?,
                    revision: row.get("revision")?,
                    updated_at: row.get("updated_at")?,
                    error_kind: row.get("error_kind")?,
                }),
                None => None,
            };
            taken.push(Taken { slot: row.get("slot")?, reserved: file.is_none(), file });
        }
        Ok(taken)
    }
}

fn select(query: &mut Statement, filter: &Filter, states: Option<&[State]>) {
    query.push("SELECT * FROM (SELECT * FROM upload_status WHERE 1 = 1");
    if let Some(brand) = filter.brand {
        query.push(" AND brand_type = ").push_bind(brand.kind().as_str());
        query.push(" AND brand_id = ").push_bind(brand.record());
    }
    if let Some(inbox) = &filter.inbox {
        query.push(" AND inbox = ").push_bind(inbox);
    }
    if let Some(states) = states {
        query.push(" AND state IN (");
        query.push_list(states.iter().map(|state| state.as_str())).push(")");
    }
    if let Some(text) = &filter.text {
        query.push(" AND (lower(file_name) LIKE ").push_bind(like(text)).push(" ESCAPE '\\'");
        query.push(
            " OR id IN (SELECT id FROM upload WHERE brand_id IN
                 (SELECT id FROM brand WHERE lower(type || '/' || record_id || ' ' || coalesce(label, '')) LIKE ",
        );
        query.push_bind(like(text)).push(" ESCAPE '\\')))");
    }
    if let Some(since) = &filter.since {
        query.push(" AND updated_at >= ").push_bind(since.clone());
    }
    if let Some(after) = &filter.after {
        query.push(" AND (updated_at, id) < (").push_bind(after.updated_at.clone());
        query.push(", ").push_bind(after.id.0).push(")");
    }
    // a text is sought in the table from end to end: along an index each row would be fetched for itself
    query.push(match filter.text {
        Some(_) => " ORDER BY updated_at || '' DESC, id DESC",
        None => " ORDER BY updated_at DESC, id DESC",
    });
    if let Some(limit) = filter.limit {
        query.push(" LIMIT ").push_bind(limit);
    }
    query.push(") AS listed");
}

/// A pattern for "has this in it", for a text in small letters: PostgreSQL's `LIKE` tells them from capital ones.
fn like(text: &str) -> String {
    let escaped = text.to_ascii_lowercase().replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let cursor = Cursor { updated_at: "2026-11-24T05:00:00.123Z".into(), id: UploadId(7) };
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
        for wrong in ["", "7", "_", "x_y"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_sought_is_no_pattern() {
        assert_eq!(like("50%_a\\"), "%50\\%\\_a\\\\%");
    }
}
