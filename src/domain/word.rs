//! Enums whose values are words that users rely on (docs/reference.md): spelled alike in the database, in JSON and CSV, in
//! metrics and on the command line.

/// Defines such an enum from one list of its variants and their words, so that none can be left out of `ALL` or be read
/// as another. The text after its name says in an error what it is.
///
/// ```text
/// words! {
///     /// How an attempt ended.
///     pub enum Outcome("outcome") {
///         /// The object is on OSS.
///         Uploaded = "uploaded",
///         /// Given up.
///         Failed = "failed",
///     }
/// }
/// ```
macro_rules! words {
    (
        $(#[$meta:meta])*
        pub enum $name:ident($what:literal) {
            $($(#[$variant_meta:meta])* $variant:ident = $word:literal,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_meta])* $variant,)+
        }

        impl $name {
            /// All of them, in the order in which they are listed.
            pub const ALL: [$name; [$($word),+].len()] = [$($name::$variant),+];

            /// Its word.
            pub fn as_str(self) -> &'static str {
                match self {
                    $($name::$variant => $word,)+
                }
            }
        }

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
pub(super) use words;

#[cfg(test)]
#[expect(unreachable_pub, reason = "what the macro makes is public")]
mod tests {
    words! {
        /// What a light says.
        pub enum Light("light") {
            /// Stop.
            Red = "red",
            /// Go.
            Green = "green",
        }
    }

    #[test]
    fn words_are_read_as_written() {
        assert_eq!(Light::ALL, [Light::Red, Light::Green]);
        assert_eq!(Light::ALL.map(|light| light.as_str().parse()), Light::ALL.map(Ok));
        assert_eq!(format!("{:>6}", Light::Red), "   red");
        assert_eq!(serde_json::to_string(&Light::Green).unwrap(), "\"green\"");
        let error = "blue".parse::<Light>().unwrap_err();
        assert_eq!(error, "\"blue\" is no light; the lights are red, green");
    }
}
