//! `--help` in Chinese, where the locale asks for it. English stands with the commands themselves.

use clap::builder::StyledStr;
use clap::{Arg, ArgAction, Command};

use super::lang;

/// A command, or a command and one of its arguments, and what it is.
const WORDS: &[(&str, &str)] = &[
    ("", "把品牌资质图片上传到阿里云 OSS，每个文件的结果都有据可查。"),
    ("run", "监视目录，上传放进去的图片"),
    ("run once", "处理完就退出并给出汇总：全部上传成功返回 0，否则返回 1"),
    ("status", "每个文件的结果，最近变化的在前"),
    ("status brand", "只看一个品牌，如 OWNBRAND/1001"),
    (
        "status states",
        "只看这个状态的文件（可写多次）：等待上传、正在上传、等待重试、已上传、云端拒绝、不合格、已删除",
    ),
    ("status inbox", "只看这个收件箱的文件，名字见 `brandpost inboxes`"),
    ("status since", "只看此后有变化的：时间、日期，或多久以前，如 2h、3d"),
    ("status json", "输出 JSON 数组，列名与数据库视图相同"),
    ("status csv", "输出带表头的 CSV"),
    ("status watch", "停留在屏幕上并持续刷新"),
    ("status limit", "最多显示多少个［默认 50；--json 和 --csv 不限］"),
    ("show", "一个文件的全部信息和每次上传经过"),
    ("show what", "`brandpost status` 里的编号，或文件路径"),
    ("brands", "各品牌的序号占用情况"),
    ("brands text", "只看编号、名称或文件名里含有这段文字的品牌"),
    ("brands json", "输出 JSON 数组，列名与数据库视图相同"),
    ("brands csv", "输出带表头的 CSV"),
    ("brands limit", "最多显示多少个"),
    ("retry", "立即重新排队"),
    ("retry what", "`brandpost status` 里的编号，或一个品牌，如 OWNBRAND/1001"),
    ("retry failed", "所有被云端拒绝的"),
    ("retry held", "所有因数据库重建而待确认的"),
    ("retry rejected", "所有本地检查没通过的"),
    ("adopt", "把因数据库重建而待确认的文件视为已上传"),
    ("adopt brand", "一个品牌，如 OWNBRAND/1001"),
    ("adopt all", "所有待确认的"),
    ("release", "释放品牌的序号，等待的文件会自动补上"),
    ("release brand", "品牌，如 OWNBRAND/1001"),
    ("release slots", "序号"),
    ("reserve", "登记已由其他途径占用的序号，不再分配"),
    ("reserve brand", "品牌，如 OWNBRAND/1001"),
    ("reserve slots", "序号"),
    ("pause", "暂停上传，直到执行 `resume`；新文件照常登记"),
    ("pause why", "原因，供别人查看"),
    ("resume", "恢复上传"),
    ("page", "输出网页地址（带口令，点开即用）"),
    ("check", "检查配置、目录、权限、数据库、密钥和时钟"),
    ("check online", "向网关发一次签名请求，不占序号"),
    ("check config_only", "只检查重新加载所需的：配置文件和密钥"),
    ("check alerts", "向每个告警渠道发一条测试消息"),
    ("inspect", "检查还没放进目录的图片是否合格"),
    ("inspect files", "图片文件"),
    ("inspect json", "输出 JSON 数组"),
    ("backup", "备份数据库，守护进程运行时也可以"),
    ("backup file", "还不存在的文件名"),
    ("inboxes", "共用品牌的各台主机，以及各有多少文件待上传"),
    ("inboxes json", "输出 JSON 数组，列名与视图 inbox_status 相同"),
    ("inboxes retire", "停用不会再回来的主机的收件箱：未上传的文件作废并释放序号"),
    ("inboxes retire name", "收件箱，名字见 `brandpost inboxes`"),
    ("database", "把数据库迁移到 PostgreSQL 服务器"),
    ("database copy", "复制到空的数据库，逐行核对；须先停止守护进程"),
    ("database copy to", "空数据库的 URL，与 database.url 的写法相同"),
    ("completions", "生成 shell 补全脚本"),
    ("completions shell", "哪种 shell：bash、elvish、fish、powershell、zsh"),
    ("man", "输出手册页"),
    ("man dir", "把每个命令的手册页写到这个目录"),
];

const CONFIG: &str = "配置文件［默认 $BRANDPOST_CONFIG、 ./config.toml、 /etc/brandpost/config.toml］";

fn words(what: &str) -> Option<&'static str> {
    WORDS.iter().find(|(name, _)| *name == what).map(|(_, words)| *words)
}

/// The command line in the reader's language.
pub(super) fn localized(command: Command) -> Command {
    if lang::chinese() { chinese(command) } else { command }
}

fn chinese(command: Command) -> Command {
    let flag = |name: &'static str, short, action, help: &'static str| {
        Arg::new(name).short(short).long(name).action(action).help(help).help_heading("选项")
    };
    let command = command
        .disable_help_subcommand(true)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(flag("help", 'h', ArgAction::Help, "显示帮助").global(true))
        .arg(flag("version", 'V', ArgAction::Version, "显示版本"));
    with_subcommands(command, "")
}

/// A command, and the commands below it.
fn with_subcommands(command: Command, name: &str) -> Command {
    let names: Vec<_> = command.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    names.iter().fold(translated(command, name), |command, below| {
        let name = format!("{name} {below}");
        command.mut_subcommand(below, |command| {
            let command = command.disable_help_flag(true).disable_help_subcommand(true);
            with_subcommands(command, name.trim())
        })
    })
}

fn translated(command: Command, name: &str) -> Command {
    let about = words(name).map(StyledStr::from).unwrap_or_default();
    let template = "{about}\n\n用法：{usage}\n\n{all-args}{after-help}";
    command.about(about).help_template(template).subcommand_help_heading("命令").mut_args(|arg| {
        let text = match arg.get_id().as_str() {
            "config" => Some(CONFIG),
            id => words(&format!("{name} {id}")),
        };
        let heading = if arg.is_positional() { "参数" } else { "选项" };
        text.map_or_else(
            || arg.clone(),
            |text| arg.clone().help(text).help_heading(heading).hide_possible_values(arg.is_positional()),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn name_all(command: &Command, above: &str, names: &mut Vec<String>) {
        for command in command.get_subcommands() {
            let name = format!("{above} {}", command.get_name()).trim().to_owned();
            names.push(name.clone());
            names.extend(command.get_arguments().map(|arg| format!("{name} {}", arg.get_id())));
            name_all(command, &name, names);
        }
    }

    #[test]
    fn every_command_and_argument_has_chinese_words_and_no_other_has() {
        let mut expected = vec![String::new()];
        name_all(&super::super::Cli::command(), "", &mut expected);
        expected.retain(|name| !name.ends_with(" config"));
        let mut known: Vec<_> = WORDS.iter().map(|(name, _)| (*name).to_owned()).collect();
        expected.sort();
        known.sort();
        assert_eq!(known, expected);
    }

    #[test]
    fn the_command_line_is_the_same_in_both_languages() {
        let command = chinese(super::super::Cli::command());
        command.clone().debug_assert();
        for line in [
            "brandpost status --state failed --limit 3",
            "brandpost --config x retry --failed",
            "brandpost pause 维护",
        ] {
            assert!(command.clone().try_get_matches_from(line.split(' ')).is_ok(), "{line}");
        }
        let help =
            command.clone().try_get_matches_from(["brandpost", "status", "--help"]).unwrap_err().to_string();
        for name in ["inboxes", "completions"] {
            let help = command.clone().try_get_matches_from(["brandpost", name, "--help"]).unwrap_err();
            let help = help.to_string();
            assert!(!help.contains("Commands:") && !help.contains("possible values"), "{help}");
        }
        for words in ["用法：", "选项", "参数", "显示帮助", "配置文件"] {
            assert!(help.contains(words), "{words} in {help}");
        }
        assert!(!help.contains("Print help") && !help.contains("Options"), "{help}");
    }
}
