//! What is wrong with the configuration: file, line, key and what to do, for every mistake at once.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// `config.toml:12`, or the environment variable, or the file alone.
    pub place: String,
    /// `section.key`; empty when the text is no TOML at all.
    pub key: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.place, self.message),
            key => write!(f, "{}: {key}: {}", self.place, self.message),
        }
    }
}

/// All mistakes, one a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, problem) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Turns places in the text (and values from the environment) into what a person can find.
#[derive(Debug)]
pub(super) struct Source {
    path: PathBuf,
    text: String,
    /// The variables that overlay the file; number `n` owns the place `text.len() + 1 + n`.
    variables: Vec<String>,
}

impl Source {
    pub(super) fn new(path: &Path, text: &str) -> Self {
        Self { path: path.into(), text: text.into(), variables: Vec::new() }
    }

    /// Gives an environment variable a place of its own, behind the end of the text.
    pub(super) fn add_variable(&mut self, name: String) -> Range<usize> {
        self.variables.push(name);
        let place = self.text.len() + self.variables.len();
        place..place + 1
    }

    /// Names the place of a span.
    pub(super) fn place(&self, span: Option<&Range<usize>>) -> String {
        let file = self.path.display();
        match span.map(|span| span.start) {
            None => file.to_string(),
            Some(at) if at > self.text.len() => match self.variables.get(at - self.text.len() - 1) {
                Some(variable) => format!("${variable}"),
                None => file.to_string(),
            },
            Some(at) => {
                let before = self.text.as_bytes().get(..at).unwrap_or_default();
                let line = before.split(|byte| *byte == b'\n').count();
                format!("{file}:{line}")
            }
        }
    }
}
