//! A host: its machine, and the daemon on it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use brandpost::config::Settings;
use brandpost::domain::clock::ManualClock;
use jiff::Timestamp;

use crate::support::write_private;

use super::daemon::Daemon;
use super::scenario::Setup;

/// The host that stands by for the keeper of the first one's folders.
const STANDBY: usize = 2;

pub struct Host {
    /// Its own folder, with the configuration, the lock and, if it is alone, the ledger.
    pub place: PathBuf,
    pub inbox: String,
    /// Which folders it watches.
    pub share: usize,
    pub settings: Arc<Settings>,
    /// The time that its machine shows.
    pub wall: Arc<ManualClock>,
    pub daemon: Option<Daemon>,
    /// Its process is suspended.
    pub is_suspended: bool,
    /// The machine is off: nothing is started there by itself.
    pub is_off: bool,
    /// Its daemon has found out that it keeps the inbox no more.
    pub is_deposed: bool,
}

impl Host {
    pub fn new(all: &Path, setup: &Setup, number: usize, port: u16, start: Timestamp) -> Self {
        let share = if number == STANDBY { 0 } else { number };
        let place = if setup.hosts == 1 { all.to_owned() } else { all.join(format!("host-{number}")) };
        let watched = if setup.hosts == 1 { all.to_owned() } else { all.join(format!("host-{share}")) };
        std::fs::create_dir_all(&place).unwrap();
        let inbox = if setup.hosts == 1 { "local".to_owned() } else { format!("inbox-{share}") };
        let settings = configure(&place, &watched.join("inbox"), &inbox, setup, port);
        Self {
            place,
            inbox,
            share,
            settings,
            wall: Arc::new(ManualClock::new(start)),
            daemon: None,
            is_suspended: false,
            is_off: false,
            is_deposed: false,
        }
    }

    pub fn is_at_work(&self) -> bool {
        self.daemon.is_some() && !self.is_suspended && !self.is_deposed
    }
}

fn configure(place: &Path, root: &Path, inbox: &str, setup: &Setup, port: u16) -> Arc<Settings> {
    let Setup { check, slots_by, after, max_attempts, .. } = setup;
    let host = "iotx-industry.oss-cn-hangzhou.aliyuncs.com";
    let text = format!(
        "[gateway]\nurl = \"http://api.link.aliyun.com\"\napp_id = \"a1B2c3D4\"\napp_key = \"30001234\"\n\
         app_secret_file = \"secret\"\n[network.resolve]\n\"api.link.aliyun.com\" = \"127.0.0.1:{port}\"\n\
         \"{host}\" = \"127.0.0.1:{port}\"\n[oss]\nhttps = \"allow\"\n\
         [limits]\nconcurrency = 3\nuploads_per_second = 0\ngateway_per_second = 0\n\
         [retry]\nfirst_delay = \"2s\"\nmax_delay = \"20s\"\nmax_attempts = {max_attempts}\n\
         [images]\nmax_per_brand = 3\ncheck = \"{check}\"\n[slots]\nby = \"{slots_by}\"\n[upload]\nafter = \"{after}\"\n\
         [watch]\nroot = \"{}\"\ninbox = \"{inbox}\"\n\
         mode = \"poll\"\npoll_interval = \"40s\"\nrescan = \"60s\"\nsettle = \"1s\"\ngrace = \"5s\"\n",
        root.display()
    );
    let path = place.join("config.toml");
    std::fs::write(&path, text).unwrap();
    write_private(&place.join("secret"), "sandbox-app-secret\n");
    Arc::new(Settings::load(&path).unwrap())
}
