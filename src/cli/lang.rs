//! English, or Simplified Chinese where the locale asks for it.

use std::sync::OnceLock;

use crate::domain::chinese::words;
use crate::domain::failure::ErrorKind;
use crate::domain::upload::State;

/// A text in the reader's language: both are format strings with the same arguments.
macro_rules! tr {
    ($en:literal, $zh:literal $(, $argument:expr)* $(,)?) => {
        if $crate::cli::lang::chinese() { format!($zh $(, $argument)*) } else { format!($en $(, $argument)*) }
    };
}
pub(crate) use tr;

/// Does the reader want Chinese? The first of these variables that is set decides, as in `locale(7)`.
pub(crate) fn chinese() -> bool {
    static CHINESE: OnceLock<bool> = OnceLock::new();
    *CHINESE.get_or_init(|| {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_MESSAGES", "LANG"].into_iter().find_map(set);
        locale.is_some_and(|locale| locale.starts_with("zh"))
    })
}

/// A state, for people.
pub(crate) fn state(state: &str) -> String {
    if !chinese() {
        return state.to_owned();
    }
    let word = match state.parse() {
        Ok(State::Queued) => "等待上传",
        Ok(State::Uploading) => "上传中",
        Ok(State::Retrying) => "等待重试",
        Ok(State::Uploaded) => "已上传",
        Ok(State::Failed) => "云端拒绝",
        Ok(State::Rejected) => "不合格",
        Ok(State::Gone) => "已删除",
        Err(_) => state,
    };
    word.to_owned()
}

/// How an attempt ended, for people.
pub(crate) fn outcome(outcome: Option<&str>) -> String {
    match outcome {
        None => tr!("under way", "进行中"),
        Some("interrupted") => tr!("interrupted", "被中断"),
        Some(other) => state(other),
    }
}

/// A kind of error, for people.
pub(crate) fn kind(kind: &str) -> String {
    match kind.parse().ok().filter(|_| chinese()) {
        Some(kind) => words(kind).0.to_owned(),
        None => kind.to_owned(),
    }
}

/// What a person can do about it.
pub(crate) fn advice(kind: ErrorKind) -> &'static str {
    if chinese() { words(kind).1 } else { kind.advice() }
}
