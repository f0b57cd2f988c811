//! English, or Simplified Chinese where the locale asks for it.

use std::error::Error;
use std::sync::OnceLock;

use crate::config::{Problem, Problems};
use crate::domain::brand::Outcome;
use crate::domain::failure::{ErrorKind, Failure};
use crate::domain::text::visible;
use crate::domain::texts::{self, Language, Place};
use crate::domain::upload::State;

/// A text in the reader's language: both are format strings with the same arguments.
macro_rules! tr {
    ($en:literal, $zh:literal $(, $argument:expr)* $(,)?) => {
        if $crate::cli::lang::chinese() { format!($zh $(, $argument)*) } else { format!($en $(, $argument)*) }
    };
}
pub(crate) use tr;

/// Does the reader want Chinese, and does the terminal show it?
pub(crate) fn chinese() -> bool {
    static CHINESE: OnceLock<bool> = OnceLock::new();
    *CHINESE.get_or_init(|| wants_chinese(|name| std::env::var(name).ok()))
}

/// The first of the variables that is set decides, as in `locale(7)`. All we write is UTF-8, which a terminal of GBK
/// or Big5 cannot show.
fn wants_chinese(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = |category| {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        ["LC_ALL", category, "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase()
    };
    let encoding = locale("LC_CTYPE");
    let encoding = encoding.split('@').next().and_then(|locale| locale.split_once('.'));
    let utf8 = encoding.is_some_and(|(_, encoding)| ["utf-8", "utf8"].contains(&encoding));
    utf8 && locale("LC_MESSAGES").starts_with("zh")
}

/// A state, for people.
pub(crate) fn state(state: State) -> &'static str {
    if !chinese() {
        return state.as_str();
    }
    texts::state_in_chinese(state)
}

/// How an attempt ended, for people.
pub(crate) fn outcome(outcome: Option<Outcome>) -> String {
    match outcome {
        None => tr!("under way", "进行中"),
        Some(Outcome::Uploaded) => state(State::Uploaded).into(),
        Some(Outcome::Retrying) => state(State::Retrying).into(),
        Some(Outcome::Failed) => state(State::Failed).into(),
        Some(Outcome::Interrupted) => tr!("interrupted", "被中断"),
    }
}

/// A kind of error, for people.
pub(crate) fn kind(kind: ErrorKind) -> &'static str {
    if chinese() { texts::kind_in_chinese(kind) } else { kind.as_str() }
}

/// What a person can do about it.
pub(crate) fn advice(kind: ErrorKind) -> String {
    let language = if chinese() { Language::Chinese } else { Language::English };
    texts::advice(kind, language, Place::CommandLine)
}

/// A failure, for people.
pub(crate) fn failure(failure: &Failure) -> String {
    why(failure.kind, failure.code.as_deref(), &failure.message)
}

/// As `failure`, from the columns of a row.
pub(crate) fn why(kind: ErrorKind, code: Option<&str>, message: &str) -> String {
    let (kind, message) = (self::kind(kind), detail(message));
    let code = code.map(|code| format!(" [{}]", visible(code))).unwrap_or_default();
    tr!("{kind}{code}: {message}", "{kind}{code}：{message}")
}

/// The details of a failure, of a notice, or of a name that is left alone, as they may be shown.
pub(crate) fn detail(text: &str) -> String {
    visible(&in_their_language(text))
}

/// What is wrong with the configuration.
pub(crate) fn problem(problem: &Problem) -> String {
    let message = if chinese() { texts::problem_in_chinese(&problem.message) } else { None };
    let Some(message) = message else { return problem.to_string() };
    let key = if problem.key.is_empty() { String::new() } else { format!("{}：", problem.key) };
    format!("{}：{key}{message}", problem.place)
}

/// An error with all its causes, on one line but for the mistakes of the configuration, which have one each.
pub(crate) fn error(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| Error::source(*error)).map(|cause| {
        let problems = cause
            .downcast_ref::<Problems>()
            .map(|problems| problems.0.iter().map(problem).collect::<Vec<_>>().join("\n"));
        problems.unwrap_or_else(|| in_their_language(&cause.to_string()))
    });
    causes.collect::<Vec<_>>().join(&tr!(": ", "："))
}

/// A text in Chinese, if that is wanted and it is one of ours.
pub(crate) fn in_their_language(text: &str) -> String {
    let translated = if chinese() { texts::detail_in_chinese(text) } else { None };
    translated.unwrap_or_else(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chinese_is_for_those_who_want_it_and_can_see_it() {
        let table: [(&[(&str, &str)], bool); 9] = [
            (&[("LANG", "zh_CN.UTF-8")], true),
            (&[("LANG", "zh_CN.utf8")], true),
            (&[("LANG", "zh_TW.UTF-8@stroke")], true),
            (&[("LANG", "zh_CN.GBK")], false),
            (&[("LANG", "zh_CN.GB18030")], false),
            // GB2312, as glibc has it
            (&[("LANG", "zh_CN")], false),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "C")], false),
            (&[("LANG", "zh_CN.UTF-8"), ("LC_CTYPE", "zh_CN.GBK")], false),
            (&[("LANG", "en_US.UTF-8"), ("LC_MESSAGES", "zh_CN.UTF-8"), ("LC_ALL", "")], true),
        ];
        for (variables, chinese) in table {
            let variable = |name: &str| {
                variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
            };
            assert_eq!(wants_chinese(variable), chinese, "{variables:?}");
        }
    }
}
