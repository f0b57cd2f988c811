//! A brand's label: what people call it, behind the record id in the name of its folder.

use super::key::{BrandError, BrandKey, RecordId};
use crate::domain::text::visible;

/// What may stand between the record id and the label; the last one is the space of Chinese keyboards.
const SEPARATORS: [char; 5] = [' ', '-', '_', '.', '\u{3000}'];

/// The name of a folder in a type's folder: a record id, `1001`, or a record id and a label behind a separator,
/// `1001-海尔`. Only the canonical decimal form is a record id.
///
/// # Errors
/// When the name is neither.
pub fn read_folder_name(name: &str) -> Result<(RecordId, Option<String>), BrandError> {
    let digits = name.find(|c: char| !c.is_ascii_digit()).unwrap_or(name.len());
    let (record, rest) = name.split_at(digits);
    let label = rest.trim_start_matches(SEPARATORS);
    let not_one = || BrandError::Folder(name.into());
    if !rest.is_empty() && label.len() == rest.len() {
        return Err(not_one());
    }
    let record = record.parse().map_err(|_| not_one())?;
    Ok((record, clean_label(label)))
}

/// A label without what surrounds it; `None`: nothing is left.
pub fn clean_label(label: &str) -> Option<String> {
    Some(label.trim()).filter(|label| !label.is_empty()).map(str::to_owned)
}

/// A brand for people: `OWNBRAND/1001 海尔`, without hidden characters.
pub fn with_label(brand: BrandKey, label: Option<&str>) -> String {
    match label {
        Some(label) => format!("{brand} {}", visible(label)),
        None => brand.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_folder_is_called_by_its_record_id_and_perhaps_a_label() {
        for (name, record, label) in [
            ("1001", 1001, None),
            ("1001-海尔", 1001, Some("海尔")),
            ("1001 Acme", 1001, Some("Acme")),
            ("1001_a_b", 1001, Some("a_b")),
            ("1001.Acme Inc.", 1001, Some("Acme Inc.")),
            ("1001 - 海尔 ", 1001, Some("海尔")),
            ("1001\u{3000}海尔", 1001, Some("海尔")),
            ("1001-3M", 1001, Some("3M")),
            ("1001-", 1001, None),
        ] {
            let (found, said) = read_folder_name(name).unwrap();
            assert_eq!((found.to_string(), said.as_deref()), (record.to_string(), label), "{name}");
        }
        for name in [
            "",
            "海尔",
            "海尔-1001",
            "1001海尔",
            "01001",
            "01001-海尔",
            "0",
            "-1",
            "-海尔",
            "１００１",
            "1001+x",
        ] {
            assert!(read_folder_name(name).is_err(), "{name}");
        }
        assert!(read_folder_name("9223372036854775808-x").is_err(), "beyond an API Long");
    }

    #[test]
    fn a_label_cannot_forge_a_line() {
        let brand = "OWNBRAND/1001".parse().unwrap();
        let shown = with_label(brand, Some("x\u{202e}\nERROR\u{1b}[31m"));
        assert_eq!(shown, "OWNBRAND/1001 x\\u{202e}\\u{a}ERROR\\u{1b}[31m");
        let error = read_folder_name("1001\u{1b}[31m").unwrap_err().to_string();
        assert!(!error.contains(char::is_control), "{error:?}");
    }

    proptest! {
        #[test]
        fn a_label_never_changes_whose_folder_it_is(record in 1..=i64::MAX, label in ".*") {
            for separator in SEPARATORS {
                let (found, _) = read_folder_name(&format!("{record}{separator}{label}")).unwrap();
                prop_assert_eq!(found.to_string(), record.to_string());
            }
        }
    }
}
