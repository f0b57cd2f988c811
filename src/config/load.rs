//! From the file and the environment to settings, or to all mistakes at once.

use std::ffi::OsString;
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
        Self::load_with(path, std::iter::empty())
    }

    /// As `load`, with variables that the command line stands for beside those of the environment.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn load_with(
        path: &Path,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let text = locate::read(path)?;
        Self::parse(path, &text, std::env::vars_os().chain(variables))
    }

    /// As `load`, from a text and variables. Relative paths count from the folder of `path`.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn parse(
        path: &Path,
        text: &str,
        environment: impl Iterator<Item = (OsString, OsString)>,
    ) -> Result<Self, Problems> {
        let overlay = read::overlay(environment);
        let (document, problems) = read::read(path, text, &overlay)?;
        resolve(path, &document, problems)
    }
}
