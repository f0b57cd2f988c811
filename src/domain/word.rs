//! Enums whose values are words of the contract, spelled alike in the database, in JSON and CSV, and on the command line.

/// Writes, serializes and parses an enum by its `ALL` and `as_str`. `$what` says in an error what it is.
macro_rules! word {
    ($name:ident, $what:literal) => {
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let found = Self::ALL.into_iter().find(|word| word.as_str() == text);
                found.ok_or_else(|| {
                    let known = Self::ALL.map(Self::as_str).join(", ");
                    format!(concat!("\"{}\" is no ", $what, "; the ", $what, "s are {}"), text, known)
                })
            }
        }
    };
}
pub(super) use word;
