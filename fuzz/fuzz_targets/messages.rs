//! What is kept of a refusal.

use brandpost::domain::failure::Failure;

/// It is one short line.
pub fn check(failure: &Failure) {
    let text = &failure.message;
    assert!(text.len() < 3000 && !text.contains(char::is_control), "{text:?}");
    assert!(failure.code.as_ref().is_none_or(|code| code.chars().count() <= 80), "{failure:?}");
}
