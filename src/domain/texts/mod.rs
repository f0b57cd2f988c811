//! The texts that people read, in English and in Simplified Chinese: what states, notices and kinds of errors are, what to
//! do about them, and the details. The command line, the page and the alerts take them from here, each in its reader's
//! language; the database and the log speak English.

mod configuration;
mod database;
mod details;
mod failures;
mod kinds;
mod parser;
mod pictures;

use serde_json::{Value, json};

use super::failure::ErrorKind;
use super::notice::NoticeName;
use super::upload::State;

pub use details::{chinese as detail_in_chinese, patterns, problem_in_chinese};
pub use kinds::advice;

/// A text in English and the same in Chinese; `{}` stands for a value, `{1}` for the second one.
type Pattern = (&'static str, &'static str);

/// The reader's language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Simplified Chinese.
    Chinese,
}

/// Where it is read: what is a command here is a button there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The command line, the log and the alerts.
    CommandLine,
    /// The page.
    Page,
}

/// A kind of error in Chinese, in few characters.
pub fn kind_in_chinese(kind: ErrorKind) -> &'static str {
    kinds::words(kind).0
}

/// A state in Chinese.
pub fn state_in_chinese(state: State) -> &'static str {
    match state {
        State::Queued => "等待上传",
        State::Uploading => "正在上传",
        State::Retrying => "等待重试",
        State::Uploaded => "已上传",
        State::Failed => "云端拒绝",
        State::Rejected => "不合格",
        State::Gone => "已删除",
    }
}

/// A state for people who do not know its word.
fn state_in_english(state: State) -> &'static str {
    match state {
        State::Queued => "Queued",
        State::Uploading => "Uploading",
        State::Retrying => "Retrying",
        State::Uploaded => "Uploaded",
        State::Failed => "Refused by the cloud",
        State::Rejected => "Not accepted",
        State::Gone => "File deleted",
    }
}

/// What a notice says in Chinese, in few words.
pub fn notice_in_chinese(name: NoticeName) -> &'static str {
    chinese_notice(name)[0]
}

/// What a notice says, and what to do.
fn notice(name: NoticeName, language: Language) -> [&'static str; 2] {
    match language {
        Language::Chinese => chinese_notice(name),
        Language::English => english_notice(name),
    }
}

fn chinese_notice(name: NoticeName) -> [&'static str; 2] {
    match name {
        NoticeName::Away => [
            "有主机失联，它的文件在等待",
            "这些文件和它们的序号都保留着，主机恢复后自动继续；主机不会再回来时，请管理员执行 brandpost inboxes retire。",
        ],
        NoticeName::Paused => [
            "云端暂时收不了图片，上传已自动暂停",
            "图片都还在，恢复后会自动继续；时间长了请按下面的信息检查密钥或网络。",
        ],
        NoticeName::Throttled => [
            "云端持续限流，暂时一个也传不上去",
            "会自动放慢重试，恢复后自动继续；长时间不好请管理员调低 [limits]。",
        ],
        NoticeName::Root => ["找不到监视目录", "请检查共享盘或磁盘是否挂载；目录恢复后会自动继续。"],
        NoticeName::Unreadable => [
            "有目录无法读取，其中的图片在等待",
            "请检查权限和挂载；brandpost check 列出全部。恢复后会自动继续。",
        ],
        NoticeName::Rebuilt => [
            "数据库损坏后已重建，以前的图片等待确认",
            "请管理员决定：brandpost retry --held 全部重传，或 brandpost adopt --all 视为已上传。",
        ],
        NoticeName::Suspended => ["上传已被人工暂停", "新图片照常检查、排队，恢复后按顺序上传。"],
        NoticeName::Unserved => ["需要留意", ""],
    }
}

fn english_notice(name: NoticeName) -> [&'static str; 2] {
    match name {
        NoticeName::Away => [
            "A host is away, and files wait for it",
            "They keep their slots and go on when it is back. If it never comes back: brandpost inboxes retire.",
        ],
        NoticeName::Paused => [
            "The cloud takes no pictures now; uploads wait",
            "Nothing is lost and it goes on by itself. If it lasts, check the credentials or the network.",
        ],
        NoticeName::Throttled => [
            "The cloud asks to slow down and takes nothing now",
            "It is tried again by itself, slower. If it lasts, lower the pace under [limits].",
        ],
        NoticeName::Root => [
            "The watched folder is missing",
            "Check that the share or disk is mounted; it goes on by itself.",
        ],
        NoticeName::Unreadable => [
            "Folders cannot be read, and their pictures wait",
            "Check their rights and mounts; brandpost check lists them all. It goes on by itself.",
        ],
        NoticeName::Rebuilt => [
            "The database was damaged and rebuilt; earlier pictures are held",
            "brandpost retry --held sends them again, brandpost adopt --all takes them as sent.",
        ],
        NoticeName::Suspended => [
            "Uploads are paused by an operator",
            "New pictures are still checked and queued; they are sent in order afterwards.",
        ],
        NoticeName::Unserved => ["Please note", ""],
    }
}

/// What the page says, by language: `{"zh": {"kinds": …, "states": …, "notices": …}, "en": …}`.
pub fn for_page() -> Value {
    let language = |language| {
        let own = usize::from(language == Language::English);
        let kind = |kind: ErrorKind| {
            let (chinese, english) = kinds::words(kind);
            let means = if own == 0 { chinese } else { english };
            (kind.to_string(), json!({"means": means, "todo": advice(kind, language, Place::Page)}))
        };
        let state =
            |state: State| (state.to_string(), Value::from([state_in_chinese, state_in_english][own](state)));
        json!({
            "kinds": ErrorKind::ALL.map(kind).into_iter().collect::<serde_json::Map<_, _>>(),
            "states": State::ALL.map(state).into_iter().collect::<serde_json::Map<_, _>>(),
            "notices": NoticeName::ALL.map(|name| (name.to_string(), json!(notice(name, language)))).into_iter()
                .collect::<serde_json::Map<_, _>>(),
        })
    };
    json!({"zh": language(Language::Chinese), "en": language(Language::English)})
}
