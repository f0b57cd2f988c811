//! Mistakes on the command line in Chinese. English is what `clap` says.

use std::error::Error as _;

use clap::Error;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::lang;
use crate::domain::texts::detail_in_chinese;

/// A mistake in the reader's language, and what to write. Help and the version are none.
pub(super) fn explain(error: &Error) -> Option<String> {
    if !lang::chinese() || !error.use_stderr() {
        return None;
    }
    let usage = values(error, ContextKind::Usage).join("").replace("Usage: ", "用法：");
    let usage = usage.trim();
    let usage = if usage.is_empty() { String::new() } else { format!("\n\n{usage}") };
    Some(format!("错误：{}{usage}\n\n用 --help 查看说明。", chinese(error)?))
}

/// What is wrong; `None`: a mistake that nobody has met yet.
fn chinese(error: &Error) -> Option<String> {
    let get = |kind| values(error, kind).join("、");
    let argument = get(ContextKind::InvalidArg);
    let value = get(ContextKind::InvalidValue);
    let text = match error.kind() {
        ErrorKind::InvalidSubcommand => format!("没有“{}”这个命令", get(ContextKind::InvalidSubcommand)),
        ErrorKind::MissingSubcommand => "缺少命令".to_owned(),
        ErrorKind::UnknownArgument => format!("多余的参数：{argument}"),
        ErrorKind::TooManyValues => format!("多余的参数：{value}"),
        ErrorKind::MissingRequiredArgument => format!("缺少参数：{argument}"),
        ErrorKind::ArgumentConflict => match get(ContextKind::PriorArg) {
            prior if prior == argument => format!("{argument} 只能写一次"),
            prior => format!("{argument} 不能与 {prior} 同时使用"),
        },
        ErrorKind::InvalidValue if value.is_empty() => format!("{argument} 后面要写值"),
        ErrorKind::InvalidValue => {
            format!("{argument} 不能是“{value}”，可选值：{}", get(ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let cause = error.source().map(ToString::to_string).unwrap_or_default();
            let cause = detail_in_chinese(&cause).unwrap_or(cause);
            format!("{argument} 不能是“{value}”：{cause}")
        }
        _ => return None,
    };
    let similar = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let similar: Vec<_> = similar.into_iter().flat_map(|kind| values(error, kind)).collect();
    Some(if similar.is_empty() { text } else { format!("{text}；是不是 {}？", similar.join("、")) })
}

fn values(error: &Error, kind: ContextKind) -> Vec<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => vec![text.clone()],
        Some(ContextValue::Strings(texts)) => texts.clone(),
        Some(ContextValue::StyledStr(text)) => vec![text.to_string()],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn every_usual_mistake_is_named() {
        for (line, text) in [
            ("brandpost statsu", "没有“statsu”这个命令；是不是 status？"),
            ("brandpost show", "缺少参数：<ID|PATH>"),
            ("brandpost status --stat x", "多余的参数：--stat；是不是 --state？"),
            ("brandpost status --limit", "--limit <N> 后面要写值"),
            ("brandpost status --limit x", "--limit <N> 不能是“x”：应为数字"),
            ("brandpost status 1001", "[BRAND] 不能是“1001”：“1001”不是品牌，请写成 OWNBRAND/1001"),
            ("brandpost status --json --csv", "--json 不能与 --csv 同时使用"),
            ("brandpost resume x", "多余的参数：x"),
            ("brandpost completions x", "<SHELL> 不能是“x”，可选值：bash、elvish、fish、powershell、zsh"),
            ("brandpost release OWNBRAND/1 x", "<SLOT>... 不能是“x”：应为数字"),
        ] {
            let error = super::super::Cli::command().try_get_matches_from(line.split(' ')).unwrap_err();
            assert_eq!(chinese(&error).as_deref(), Some(text), "{line}");
        }
    }
}
