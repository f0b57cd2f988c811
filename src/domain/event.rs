//! Kinds of events in the log. Each has an id that never changes: `journalctl MESSAGE_ID=…` finds all of a kind,
//! whatever their words become.

/// Defines each kind as a constant, and for the tests the list of all.
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident = $id:literal,)+) => {
        $($(#[$doc])* pub(crate) const $name: &str = $id;)+

        #[cfg(test)]
        const ALL: &[(&str, &str)] = &[$((stringify!($name), $id)),+];
    };
}

events! {
    /// The daemon has begun to work.
    STARTED = "a57a01883af44e61a60d95792c270d9f",
    /// It has ended because it was stopped.
    STOPPED = "97707a74b6a047709d5d334d90c9efe1",
    /// It works with another configuration.
    RELOADED = "173a1091c62d4c49887491e3319e8f42",
    /// A new configuration is refused; the old one stays.
    RELOAD_REFUSED = "a98ad7e84e72410d97e9ac8710867382",
    /// A file has a row and a slot.
    RECORDED = "37f1375438714084932f595247aa37f5",
    /// We refuse a file.
    REJECTED = "560d2c9253c14f218d0271a62feebe8c",
    /// A file is on OSS.
    UPLOADED = "1bf769db2e864025b068cb3e5b447d22",
    /// An attempt came to nothing and is made again.
    RETRYING = "d05258af9169428db9c8aa75c132f741",
    /// The cloud refuses a file.
    FAILED = "83ae6a817e6e44c095860f1808c7bf68",
    /// Files were deleted before they could be sent.
    GONE = "a9cdd18a9c8547628a83a8c60000fb9d",
    /// Nothing is sent: the clouds take nothing, or an operator paused the uploads.
    PAUSED = "c9af92788f234da092eccb7b44c1cc2d",
    /// Files go through again.
    RESUMED = "b9980aa144a741e7ab8ec8e2f77dc14a",
    /// The database cannot be used for a while.
    DATABASE_TROUBLE = "cd752e1423224b8f9d71d698d06d911a",
    /// It can be used again.
    DATABASE_OVER = "e3dae171bbf14b67ac701e057245ba36",
    /// It was lost and is rebuilt; files are held.
    DATABASE_REBUILT = "423d4d0933e4429b9befa7353e49f144",
    /// Another daemon keeps the inbox: this one waits to take it over.
    STANDS_BY = "b1a0f4c6de0c4d0c9b7d3d0c86f34a17",
    /// Another daemon keeps the inbox now, or may soon do so.
    DEPOSED = "6a8e3c1f4dd64a29a3bb4c54a6e2b0f9",
    /// A folder, or the root, is not there or cannot be read.
    FOLDER_LOST = "3f5adbbfd4b745be8ceca4a84db19018",
    /// It can be read again.
    FOLDER_BACK = "d8c0a45706ae45e19f9a90ab331abd0e",
    /// A name under the root is no brand's.
    STRAY = "3b91deff28fa48c19acfe6c0655af049",
    /// More events than the queue holds: all folders are looked at.
    OVERFLOW = "565c6aaeb92c46b38226a3b978ff0e3d",
    /// An alert could not be sent, and is tried again.
    ALERT_DELAYED = "5d0f6c1e0e9b4e1c8f0a7b7d1a2c3e4f",
    /// Pictures go to another host than before.
    HOST_CHANGED = "0c9d3f0b6a1f4b5d9a1b7c2e5f8d4a36",
    /// The machine's clock is wrong or was set.
    CLOCK = "50aa18813a5e41cea186f18b90c9ad16",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_128_bits_and_differ() {
        let ids: HashSet<_> = ALL.iter().map(|(_, id)| id).collect();
        assert_eq!(ids.len(), ALL.len());
        for (name, id) in ALL {
            assert!(id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
        }
    }
}
