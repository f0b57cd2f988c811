//! From the file and the environment to settings, or to all mistakes at once.

use std::path::Path;

use super::locate;
use super::problem::Problems;
use super::read;
use super::resolve::resolve;
use super::settings::Settings;

impl Settings {
    /// Reads the file and overlays the environment.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        let text = locate::read(path)?;
        Self::parse(path, &text, std::env::vars_os())
    }

    /// As `load`, from a text and variables. Relative paths count from the folder of `path`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
    ) -> Result<Self, Problems> {
        let overlay = read::overlay(environment);
        let (document, problems) = read::read(path, text, &overlay)?;
        resolve(path, &document, problems)
    }
}
