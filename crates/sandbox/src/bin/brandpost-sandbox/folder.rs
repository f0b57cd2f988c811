//! The folder of a demo: configuration, inbox, objects, database and log.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use sandbox::SandboxOptions;

use crate::serve::write_private;

/// A temporary folder, taken away at the end unless it is kept.
pub(crate) struct Folder {
    root: PathBuf,
    keep: bool,
}

impl Folder {
    pub(crate) fn new() -> anyhow::Result<Self> {
        // nobody else can foretell the name
        let root = std::env::temp_dir().join(format!("brandpost-demo-{}", uuid::Uuid::new_v4()));
        DirBuilder::new()
            .mode(0o700)
            .create(&root)
            .with_context(|| format!("{} cannot be made", root.display()))?;
        Ok(Self { root, keep: false })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes what the daemon reads: where the clouds of these options are, and their secret.
    pub(crate) fn configure(&self, options: &SandboxOptions, port: u16) -> anyhow::Result<()> {
        let text = format!(
            "[gateway]\nurl = \"http://127.0.0.1:{port}\"\napp_id = \"{}\"\napp_key = \"{}\"\napp_secret_file = \"app_secret\"\n\
             [oss]\nhttps = \"allow\"\n[network]\nresolve = {{ \"{}\" = \"127.0.0.1:{port}\" }}\n\
             [watch]\ngrace = \"2s\"\n[retry]\nfirst_delay = \"1s\"\n[log]\nformat = \"text\"\n",
            options.app_id,
            options.app_key,
            options.bucket_host()
        );
        std::fs::write(self.path("config.toml"), text)?;
        Ok(write_private(&self.path("app_secret"), &options.app_secret)?)
    }

    /// Leaves it where it is.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.keep {
            // what is left in a temporary folder does no harm
            let _ = std::fs::remove_dir_all(&self.root);
        }
    }
}
