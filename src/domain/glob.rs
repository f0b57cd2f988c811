//! Patterns of names, as shells have them: `*`, `?`, `[a-z]`, `[!a-z]`. Case counts no more than it does to Windows.

use std::fmt;

/// A pattern that a whole name matches, or does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    /// `*`: any characters, also none.
    Many,
    /// One character: any (`?`), one of these (`[…]`), none of them (`[!…]`), or itself.
    One { of: Vec<(char, char)>, not: bool },
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// When it can match no name.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.contains('/') {
            return Err("is for names, without \"/\", as in \"*.bak\"".into());
        }
        let (mut parts, mut chars) = (Vec::new(), text.chars().flat_map(char::to_lowercase));
        while let Some(c) = chars.next() {
            parts.push(match c {
                '*' => Part::Many,
                '?' => Part::One { of: Vec::new(), not: true },
                '[' => set(&mut chars).ok_or("has a \"[\" without \"]\"")?,
                c => Part::One { of: vec![(c, c)], not: false },
            });
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Does the whole name match?
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().flat_map(char::to_lowercase).collect();
        let (mut part, mut at) = (0, 0);
        // where the last `*` stands, and up to where it reaches
        let mut last: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Many) => {
                    last = Some((part, at));
                    part += 1;
                }
                Some(one) if one.is(name[at]) => (part, at) = (part + 1, at + 1),
                _ => {
                    let Some((many, reach)) = last else { return false };
                    last = Some((many, reach + 1));
                    (part, at) = (many + 1, reach + 1);
                }
            }
        }
        self.parts[part..].iter().all(|part| *part == Part::Many)
    }
}

/// What follows a `[`, up to its `]`.
fn set(chars: &mut impl Iterator<Item = char>) -> Option<Part> {
    let mut inside: Vec<char> = Vec::new();
    loop {
        match chars.next()? {
            ']' if !inside.is_empty() && inside != ['!'] => break,
            c => inside.push(c),
        }
    }
    let not = inside.first() == Some(&'!');
    let (mut of, mut rest) = (Vec::new(), &inside[usize::from(not)..]);
    while let Some((first, tail)) = rest.split_first() {
        (of, rest) = match tail {
            ['-', last, tail @ ..] => ([of, vec![(*first, *last)]].concat(), tail),
            _ => ([of, vec![(*first, *first)]].concat(), tail),
        };
    }
    Some(Part::One { of, not })
}

impl Part {
    fn is(&self, c: char) -> bool {
        match self {
            Part::Many => false,
            Part::One { of, not } => of.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *not,
        }
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_shells_mean() {
        let table = [
            ("*.bak", "a.bak", true),
            ("*.bak", "a.BAK", true),
            ("*.bak", "a.bak.jpg", false),
            ("*.bak", ".bak", true),
            ("*", "", true),
            ("a*b*c", "aXbXbXc", true),
            ("a*b*c", "aXbX", false),
            ("图?.jpg", "图片.jpg", true),
            ("图?.jpg", "图.jpg", false),
            ("[0-9]*", "7.jpg", true),
            ("[!0-9]*", "7.jpg", false),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("副本*", "副本 (2).jpg", true),
        ];
        for (pattern, name, matches) in table {
            assert_eq!(Glob::parse(pattern).unwrap().matches(name), matches, "{pattern} {name}");
        }
        for pattern in ["", "a/b", "[a", "[]"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }
}
