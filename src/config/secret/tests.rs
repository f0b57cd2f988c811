use super::*;
use std::os::unix::fs::PermissionsExt;

use rustix::fs::{CWD, FileType, Mode};

#[test]
fn all_secrets_are_in_the_list() {
    let constants =
        include_str!("../secret.rs").lines().filter(|line| line.contains(": Key = Key {")).count();
    assert_eq!(constants, ALL.len());
}

fn file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, content).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    (folder, path)
}

fn load(key: Key, place: SecretPlace) -> Result<Secret, SecretError> {
    SecretSource { key, place }.load()
}

#[test]
fn a_secret_is_not_shown() {
    let secret = Secret::from("s3cret".to_owned());
    assert_eq!(format!("{secret:?}"), "(hidden)");
    assert!(!format!("{:?}", SecretPlace::Environment(secret)).contains("s3cret"));
}

#[test]
fn what_was_put_around_a_secret_is_taken_away() {
    for content in [
        "abc\n",
        "abc\r\n",
        "\u{feff}abc",
        "\u{200b}abc\u{200b} \r\n\n",
        " abc\t",
        "\u{a0}abc\u{3000}",
        "abc\0",
    ] {
        let (_folder, path) = file(content.as_bytes(), 0o600);
        assert_eq!(load(APP_SECRET, SecretPlace::File(path)).unwrap().expose(), "abc", "{content:?}");
        let variable = SecretPlace::Environment(Secret::from(content.to_owned()));
        assert_eq!(load(IOT_TOKEN, variable).unwrap().expose(), "abc", "{content:?}");
    }
    let url = "https://example.com/告警?key=1";
    assert_eq!(
        load(WEBHOOK, SecretPlace::Environment(Secret::from(format!("{url}\r")))).unwrap().expose(),
        url
    );
}

#[test]
fn what_stands_in_a_secret_is_named_and_the_secret_is_not() {
    let table: [(&[u8], &str); 9] = [
        (b"\n", "is empty"),
        (b"\xef\xbb\xbf\r\n", "is empty"),
        (b"\"s3cret\"\n", "is in quotation marks: remove them"),
        ("“s3cret”".as_bytes(), "is in quotation marks: remove them"),
        (b"s3cret\r\nother\r\n", "has more than one line: leave only the secret"),
        (b"s3 cret", "has a blank (U+0020) as its character number 3"),
        (
            "s3\u{200b}cret".as_bytes(),
            "has a character that cannot be seen (U+200B) as its character number 3",
        ),
        ("s3cre１".as_bytes(), "has a character that no such secret has (U+FF11) as its character number 6"),
        (b"\xff\xfes\x003\x00", "is no text in UTF-8: save it as UTF-8"),
    ];
    for (content, flaw) in table {
        let (_folder, path) = file(content, 0o600);
        let place = path.display().to_string();
        let error = load(APP_SECRET, SecretPlace::File(path)).unwrap_err().to_string();
        assert!(error.starts_with("gateway.app_secret in /") && error.contains(flaw), "{error}");
        // the name of a temporary folder may hold anything
        assert!(!error.replace(&place, "").contains("s3"), "{error}");
    }
    let error =
        load(WEBHOOK, SecretPlace::Environment(Secret::from("example.com/x".to_owned()))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "alerts.webhook in $BRANDPOST_ALERTS__WEBHOOK cannot be used: it is no URL: copy it whole from the robot's settings"
    );
    let variable = SecretPlace::Environment(Secret::from("a b".to_owned()));
    let error = load(ALERT_SECRET, variable).unwrap_err().to_string();
    assert!(
        error.starts_with("alerts.secret in $BRANDPOST_ALERTS__SECRET cannot be used: it has a blank"),
        "{error}"
    );
}

#[test]
fn a_file_that_others_can_read_holds_no_secret() {
    for key in [APP_SECRET, IOT_TOKEN, WEBHOOK, ALERT_SECRET, DATABASE_PASSWORD] {
        let content = if key == WEBHOOK { "http://example.com" } else { "abc" }.as_bytes();
        let group = key != DATABASE_PASSWORD;
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, group), (0o644, false), (0o604, false)] {
            let (_folder, path) = file(content, mode);
            let loaded = load(key, SecretPlace::File(path.clone()));
            assert_eq!(loaded.is_ok(), good, "{key} {mode:o}");
            assert_eq!(matches!(loaded, Err(SecretError::Exposed(..))), !good, "{key} {mode:o}");
            assert!(load(key, SecretPlace::Credential(path)).is_ok());
        }
    }
}

#[test]
fn what_is_no_file_holds_up_nobody_and_is_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR, 0).unwrap();
    for (path, why) in [(fifo.as_path(), "not a regular file"), (folder.path(), "a folder, not a file")] {
        for place in [SecretPlace::File(path.into()), SecretPlace::Credential(path.into())] {
            let error = anyhow::Error::new(load(APP_SECRET, place).unwrap_err());
            let text = format!("cannot read gateway.app_secret from {}: {why}", path.display());
            assert_eq!(format!("{error:#}"), text);
        }
    }
}

#[test]
fn an_inline_secret_needs_a_private_file() {
    for (key, mode, good) in [
        (APP_SECRET, 0o600, true),
        (APP_SECRET, 0o640, false),
        (APP_SECRET, 0o644, false),
        (ALERT_SECRET, 0o640, true),
        (ALERT_SECRET, 0o644, false),
        (WEBHOOK, 0o644, false),
        (IOT_TOKEN, 0o644, false),
    ] {
        let (_folder, path) = file(b"", mode);
        let loaded = load(key, SecretPlace::Inline(Secret::from("abc".to_owned()), path));
        assert_eq!(loaded.is_ok(), good, "{key} {mode:o}");
        assert_eq!(matches!(loaded, Err(SecretError::ExposedInline(..))), !good, "{key} {mode:o}");
    }
}

#[test]
fn a_secret_that_is_nowhere_says_where_it_may_be() {
    assert_eq!(
        load(APP_SECRET, SecretPlace::Missing).unwrap_err().to_string(),
        "there is no gateway.app_secret: set gateway.app_secret_file, or $BRANDPOST_GATEWAY__APP_SECRET, or the systemd \
         credential app_secret"
    );
}
