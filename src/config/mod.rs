//! `config.toml`: what the operator writes (`file`), how it is found (`locate`) and read (`read`), and what the daemon
//! works with (`settings`).

mod encoding;
mod file;
mod folders;
mod load;
mod locate;
mod problem;
mod read;
mod resolve;
mod secret;
mod settings;
mod token;
mod values;
mod wording;

pub use locate::locate;
pub use problem::{Problem, Problems};
pub use read::ENV_PREFIX;
pub use secret::{ALL as SECRETS, Secret, SecretError, SecretPlace, SecretSource};
pub use settings::{
    After, AlertKind, Alerts, BrandFolder, Check, Database, DatabaseServer, Gateway, HostPattern, Http,
    Https, Images, Limits, Log, LogFormat, Mismatch, Network, Oss, Retry, Settings, SignatureChoice, SlotsBy,
    Upload, Watch, WatchMode,
};
pub use token::{TokenError, TokenSource};
