//! English, or Simplified Chinese where the locale asks for it, as the daemon's command line does.

use std::sync::OnceLock;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, Command, Error};

/// A text in the reader's language: both are format strings with the same arguments.
macro_rules! tr {
    ($en:literal, $zh:literal $(, $argument:expr)* $(,)?) => {
        if $crate::lang::chinese() { format!($zh $(, $argument)*) } else { format!($en $(, $argument)*) }
    };
}
pub(crate) use tr;

/// Does the reader want Chinese, and does the terminal show it?
pub(crate) fn chinese() -> bool {
    static CHINESE: OnceLock<bool> = OnceLock::new();
    *CHINESE.get_or_init(|| {
        let locale = |category| {
            let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
            ["LC_ALL", category, "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase()
        };
        let utf8 = ["utf-8", "utf8"].iter().any(|encoding| locale("LC_CTYPE").contains(encoding));
        utf8 && locale("LC_MESSAGES").starts_with("zh")
    })
}

/// A state as `brandpost status` shows it.
pub(crate) fn state(word: &str) -> &str {
    match word {
        _ if !chinese() => word,
        "queued" => "等待上传",
        "uploading" => "正在上传",
        "retrying" => "等待重试",
        "uploaded" => "已上传",
        "failed" => "云端拒绝",
        "rejected" => "不合格",
        "gone" => "已删除",
        other => other,
    }
}

/// A name and its help.
type Named = (&'static str, &'static str);

/// The help in Chinese: of the program, its commands and their options.
const HELP: [(Named, &[Named]); 3] = [
    (("", "在本机模拟网关和 OSS：校验签名、保存对象、按需要制造故障"), &[]),
    (
        ("serve", "同时模拟网关和 OSS，直到被停止"),
        &[
            ("listen", "本机地址"),
            ("allow_remote", "允许其他机器能访问的地址：谁都能把磁盘写满"),
            ("dir", "对象和可用的 AppSecret 存放的目录"),
            ("scenario", "启动时就要制造的故障，JSON 文件，见 docs/sandbox.md"),
        ],
    ),
    (("demo", "沙箱、守护进程和示例图片，在临时目录里跑一遍"), &[("keep", "保留目录，便于查看")]),
];

/// The command line in the reader's language.
pub(crate) fn spoken(command: Command) -> Command {
    if !chinese() {
        return command;
    }
    let template = "{about}\n\n用法：{usage}\n\n{all-args}";
    let flag = |name: &'static str, short, action, help: &'static str| {
        Arg::new(name).short(short).long(name).action(action).help(help).help_heading("选项")
    };
    let command = command
        .subcommand_help_heading("命令")
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(flag("help", 'h', ArgAction::Help, "显示帮助").global(true))
        .arg(flag("version", 'V', ArgAction::Version, "显示版本"));
    HELP.iter().fold(command, |command, ((name, about), options)| match *name {
        "" => command.about(*about).help_template(template),
        name => command.mut_subcommand(name, |command| {
            let command = command.about(*about).help_template(template).disable_help_flag(true);
            options.iter().fold(command, |command, (option, help)| {
                command.mut_arg(*option, |option| option.help(*help).help_heading("选项"))
            })
        }),
    })
}

/// Ends the program as a wrong command line ends it, or with the help that was asked for.
pub(crate) fn exit(error: &Error) -> ! {
    match mistake(error) {
        Some(text) if chinese() => {
            anstream::eprintln!("错误：{text}\n\n用 --help 查看说明。");
            std::process::exit(2)
        }
        _ => error.exit(),
    }
}

/// What is wrong with the command line, in Chinese; `None`: help was asked for.
fn mistake(error: &Error) -> Option<String> {
    let said = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let (option, value) = (said(ContextKind::InvalidArg), said(ContextKind::InvalidValue));
    Some(match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => return None,
        ErrorKind::InvalidSubcommand => format!("没有“{}”这个命令", said(ContextKind::InvalidSubcommand)),
        ErrorKind::UnknownArgument => format!("没有“{option}”这个选项"),
        _ if value.is_empty() => format!("“{option}”的写法不对，或缺少值"),
        _ => format!("“{option}”的值不对：{value}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn mistakes_are_told_in_chinese() {
        let said =
            |line: &str| mistake(&crate::Cli::command().try_get_matches_from(line.split(' ')).unwrap_err());
        for (line, text) in [
            ("brandpost-sandbox foo", Some("没有“foo”这个命令")),
            ("brandpost-sandbox demo --nope", Some("没有“--nope”这个选项")),
            ("brandpost-sandbox serve --listen x", Some("“--listen <ADDR>”的值不对：x")),
            ("brandpost-sandbox serve --listen", Some("“--listen <ADDR>”的写法不对，或缺少值")),
            ("brandpost-sandbox demo --help", None),
            ("brandpost-sandbox", None),
        ] {
            assert_eq!(said(line).as_deref(), text, "{line}");
        }
    }

    #[test]
    fn every_command_and_option_has_chinese_help() {
        for command in crate::Cli::command().get_subcommands() {
            let (_, options) = HELP.iter().find(|((name, _), _)| *name == command.get_name()).unwrap();
            let names: Vec<_> = command.get_arguments().map(|option| option.get_id().as_str()).collect();
            assert_eq!(names, options.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    }
}
