//! What is in brands' folders and not in the database: for commands beside the daemon, or without it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use tokio::time::Instant;

use super::discovery::{self, BrandFolder};
use super::scan;
use crate::config::Settings;
use crate::domain::brand::BrandKey;
use crate::files;
use crate::ledger::{LedgerError, Report};

/// So many names are looked up in the database at a time.
const BATCH: usize = 1000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// How many folders brands have.
    pub folders: usize,
    /// Files, and whose they are: all that there are, then those that wait to be taken in.
    pub files: Vec<(BrandKey, PathBuf)>,
    /// Folders that cannot be read, and why.
    pub unread: Vec<(PathBuf, String)>,
    /// Folders that the configuration names and that are not there.
    pub missing: Vec<PathBuf>,
    /// What is in the root and is no brand's folder, and why.
    pub unrecognized: Vec<(PathBuf, String)>,
    /// There was no time for all of it.
    pub partial: bool,
}

impl Backlog {
    /// Lists brands' folders, those that changed last first, until the deadline. What is in the database is found out
    /// by [`Backlog::untaken`].
    pub(crate) fn list(settings: &Settings, only: Option<BrandKey>, deadline: Instant) -> Self {
        let mut backlog = Self::default();
        let mut folders = backlog.brand_folders(settings, only);
        backlog.folders = folders.len();
        folders.sort_by_cached_key(|folder| std::cmp::Reverse(changed(settings, &folder.path)));
        for BrandFolder { brand, path, .. } in folders {
            if Instant::now() > deadline {
                backlog.partial = true;
                break;
            }
            backlog.unrecognized.extend(subfolders_in(settings, &path));
            match files_in(settings, &path) {
                Ok(files) => backlog.files.extend(files.into_iter().map(|file| (brand, file))),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => backlog.unread.push((path, error.to_string())),
            }
        }
        backlog
    }

    /// Keeps the files that have no row, as far as the deadline lets them be looked up.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn untaken(mut self, report: &Report, deadline: Instant) -> Result<Self, LedgerError> {
        for batch in std::mem::take(&mut self.files).chunks(BATCH) {
            if Instant::now() > deadline {
                self.partial = true;
                break;
            }
            let unknown = report.unknown(batch).await?;
            self.files.extend(unknown.into_iter().filter_map(|at| batch.get(at).cloned()));
        }
        Ok(self)
    }

    fn brand_folders(&mut self, settings: &Settings, only: Option<BrandKey>) -> Vec<BrandFolder> {
        let is_wanted = |folder: &BrandFolder| only.is_none_or(|only| folder.brand == only);
        let configured = discovery::configured_brands(settings).filter(is_wanted);
        let (mut folders, missing): (Vec<_>, Vec<_>) =
            configured.partition(|folder| folder.identity.is_some());
        self.missing.extend(missing.into_iter().map(|folder| folder.path));
        let root = &settings.watch.root;
        match discovery::discover_root(settings) {
            Ok(discovery) => {
                folders.extend(discovery.folders.into_iter().filter(is_wanted));
                (self.unread, self.unrecognized) = (discovery.unread, discovery.unrecognized);
                if let Some(only) = only {
                    // what is another's, or nobody's
                    self.unread.retain(|(path, _)| root.join(only.kind().as_str()).starts_with(path));
                    self.unrecognized.clear();
                }
            }
            // with configured folders no root is needed
            Err(error) if error.kind() == io::ErrorKind::NotFound && !settings.brands.is_empty() => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.missing.push(root.clone()),
            Err(error) => self.unread.push((root.clone(), error.to_string())),
        }
        folders
    }
}

fn changed(settings: &Settings, folder: &Path) -> Option<SystemTime> {
    let opened = files::open_brand_folder(settings.top_of(folder), folder).ok()?;
    File::from(opened).metadata().and_then(|folder| folder.modified()).ok()
}

/// Folders in a brand's folder, which somebody may take for watched ones.
fn subfolders_in(settings: &Settings, path: &Path) -> Vec<(PathBuf, String)> {
    let names = files::open_brand_folder(settings.top_of(path), path)
        .and_then(|folder| scan::subfolders(&folder, &settings.watch.ignore));
    let why =
        "folders in a brand's folder are not looked into; put the pictures into the brand's folder itself";
    names.unwrap_or_default().into_iter().map(|name| (path.join(name), why.to_owned())).collect()
}

fn files_in(settings: &Settings, path: &Path) -> io::Result<Vec<PathBuf>> {
    let folder = files::open_brand_folder(settings.top_of(path), path)?;
    // names may be readable where files are not
    files::look(&folder, ".".as_ref())?;
    let names = scan::names(&folder, &settings.watch.ignore)?;
    Ok(names.into_iter().map(|name| path.join(name)).collect())
}
