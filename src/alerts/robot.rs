//! The messages that the chat systems' robots accept: a text in a format of each, and `DingTalk`'s and Feishu's
//! signature.
//! Sources: <https://open.dingtalk.com/document/robots/customize-robot-security-settings>,
//! <https://open.feishu.cn/document/client-docs/bot-v3/add-custom-bot>,
//! <https://developer.work.weixin.qq.com/document/path/91770>.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::Sha256;

use super::digest::{Completed, Digest, Refused};
use super::summary::Summary;
use crate::config::{AlertKind, Secret};
use crate::domain::chinese::words;
use crate::domain::notice::NoticeName;
use crate::domain::text::one_line;

/// What is sent: the body, and what is added to the URL's query.
pub(super) struct Message {
    pub(super) body: Value,
    pub(super) query: Vec<(&'static str, String)>,
}

pub(super) fn message(kind: AlertKind, digest: &Digest, secret: Option<&Secret>, now: Timestamp) -> Message {
    let mut query = Vec::new();
    let text = cut(chinese(digest), most(kind));
    let body = match kind {
        AlertKind::Json => data(digest, now),
        AlertKind::Wecom => json!({"msgtype": "text", "text": {"content": text}}),
        AlertKind::Dingtalk => {
            if let Some(secret) = secret {
                let millis = now.as_millisecond();
                let text = format!("{millis}\n{}", secret.expose());
                let sign = STANDARD.encode(hmac(secret.expose().as_bytes(), text.as_bytes()));
                query = vec![("timestamp", millis.to_string()), ("sign", sign)];
            }
            json!({"msgtype": "text", "text": {"content": text}})
        }
        AlertKind::Feishu => {
            let mut body = json!({"msg_type": "text", "content": {"text": text}});
            if let Some(secret) = secret {
                let seconds = now.as_second().to_string();
                // the key is what is signed elsewhere, and nothing is signed with it
                let key = format!("{seconds}\n{}", secret.expose());
                body["sign"] = STANDARD.encode(hmac(key.as_bytes(), b"")).into();
                body["timestamp"] = seconds.into();
            }
            body
        }
    };
    Message { body, query }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// For programs.
pub(super) fn data(digest: &Digest, now: Timestamp) -> Value {
    json!({
        "service": "brandpost",
        "time": crate::domain::clock::rfc3339(now),
        "text": english(digest),
        "failed": digest.failed,
        "rejected": digest.rejected,
        "files": digest.files,
        "begun": digest.begun,
        "over": digest.over,
        "completed": digest.completed,
        "brands": digest.brands,
        "summary": digest.summary,
    })
}

fn english(digest: &Digest) -> String {
    let mut lines = Vec::new();
    lines.extend(digest.begun.values().map(|message| format!("Trouble: {}", shortened(message))));
    lines.extend(digest.over.values().map(|message| format!("Over: {}", shortened(message))));
    if digest.failed > 0 {
        lines.push(format!("{} refused by the cloud", files(digest.failed)));
    }
    if digest.rejected > 0 {
        lines.push(format!("{} rejected", files(digest.rejected)));
    }
    lines.extend(digest.files.iter().map(|file| {
        let message = shortened(file.error_message.as_deref().unwrap_or_default());
        format!("{}: {message}", name(file))
    }));
    if digest.unnamed() > 0 {
        lines.push(format!("and {} more", digest.unnamed()));
    }
    if digest.completed > 0 {
        let word = if digest.completed == 1 { "brand" } else { "brands" };
        lines.push(format!("Complete: {} {word}, all that waited is uploaded", digest.completed));
    }
    lines.extend(digest.brands.iter().map(|brand| {
        let Completed { uploaded, failed, rejected, .. } = brand;
        let refused =
            if failed + rejected > 0 { format!(", {} refused", failed + rejected) } else { String::new() };
        format!("{}: {uploaded} uploaded{refused}", labelled(&brand.brand, brand.label.as_deref()))
    }));
    lines.extend(digest.summary.iter().map(|summary| {
        let Summary { date, uploaded, waiting, held, failed, rejected } = summary;
        format!(
            "Summary of {date}: {uploaded} uploaded in 24 hours; now {waiting} waiting ({held} held), {failed} refused by the \
             cloud, {rejected} rejected"
        )
    }));
    format!("brandpost\n{}", lines.join("\n"))
}

/// The chat systems' readers are in China.
fn chinese(digest: &Digest) -> String {
    let mut lines = Vec::new();
    lines.extend(digest.begun.iter().map(|(name, message)| match begins(*name) {
        Some(words) => format!("{words}：{}", shortened(message)),
        None => format!("【故障】{}", shortened(message)),
    }));
    lines.extend(digest.over.iter().map(|(name, message)| match ends(*name) {
        Some(words) => words.to_owned(),
        None => format!("【恢复】{}", shortened(message)),
    }));
    if digest.failed > 0 {
        lines.push(format!("【云端拒绝】{} 个文件", digest.failed));
    }
    if digest.rejected > 0 {
        lines.push(format!("【不合格】{} 个文件", digest.rejected));
    }
    lines.extend(digest.files.iter().map(|file| format!("{}：{}", name(file), reason(file))));
    if digest.unnamed() > 0 {
        lines.push(format!("另有 {} 个", digest.unnamed()));
    }
    if digest.completed > 0 {
        lines.push(format!("【完成】{} 个品牌的待传文件已全部上传", digest.completed));
    }
    lines.extend(digest.brands.iter().map(|brand| {
        let Completed { uploaded, failed, rejected, .. } = brand;
        let refused = if failed + rejected > 0 {
            format!("，未通过 {} 个", failed + rejected)
        } else {
            String::new()
        };
        format!("{}：共上传 {uploaded} 个{refused}", labelled(&brand.brand, brand.label.as_deref()))
    }));
    lines.extend(digest.summary.iter().map(|summary| {
        let Summary { date, uploaded, waiting, held, failed, rejected } = summary;
        format!(
            "【每日汇总】{date}：近 24 小时上传 {uploaded} 个；目前等待 {waiting} 个（其中待确认 {held} 个），云端拒绝 {failed} 个，\
             不合格 {rejected} 个"
        )
    }));
    format!("brandpost 品牌资质图片上传\n{}", lines.join("\n"))
}

/// How a message about a notice begins; `None`: the notice says it all.
fn begins(notice: NoticeName) -> Option<&'static str> {
    match notice {
        NoticeName::Away => Some("【故障】有主机失联，它的文件在等待"),
        NoticeName::Root => Some("【故障】监视目录不可用"),
        NoticeName::Paused => Some("【故障】上传已自动暂停"),
        NoticeName::Throttled => Some("【故障】云端持续限流，暂时一个也传不上去"),
        NoticeName::Rebuilt => Some("【故障】数据库已重建，以前的文件待确认"),
        NoticeName::Suspended => Some("【通知】上传已被人工暂停"),
        NoticeName::Unserved => None,
    }
}

fn ends(notice: NoticeName) -> Option<&'static str> {
    match notice {
        NoticeName::Away => Some("【恢复】失联的主机已恢复"),
        NoticeName::Root => Some("【恢复】监视目录已恢复"),
        NoticeName::Paused => Some("【恢复】上传已恢复"),
        NoticeName::Throttled => Some("【恢复】云端限流已解除"),
        NoticeName::Rebuilt => Some("【恢复】待确认的文件已处理完"),
        NoticeName::Suspended => Some("【通知】人工暂停已取消"),
        NoticeName::Unserved => None,
    }
}

fn files(count: u64) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

/// Messages are short: `brandpost show` has the rest.
fn shortened(message: &str) -> String {
    one_line(message, 160)
}

fn name(file: &Refused) -> String {
    let brand = labelled(&file.brand, file.label.as_deref());
    format!("{brand}/{} (#{})", one_line(&file.file_name, 60), file.id)
}

fn labelled(brand: &str, label: Option<&str>) -> String {
    let label = label.map(|label| format!(" {}", one_line(label, 30)));
    brand.to_owned() + &label.unwrap_or_default()
}

/// What it is and what to do; the cloud's own message where it has refused.
fn reason(file: &Refused) -> String {
    let (what, todo) = file.error_kind.map(words).unwrap_or_default();
    match &file.error_code {
        Some(code) => {
            format!("{what} [{code}] {}", shortened(file.error_message.as_deref().unwrap_or_default()))
        }
        None => format!("{what}，{todo}"),
    }
}

/// So many bytes a text may have, by the robots' own pages; with a margin, for it is counted in different ways.
fn most(kind: AlertKind) -> usize {
    match kind {
        AlertKind::Wecom => 2000,
        AlertKind::Dingtalk | AlertKind::Feishu | AlertKind::Json => 18_000,
    }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most - '…'.len_utf8()));
        text.push('…');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::brand::UploadId;
    use crate::domain::failure::ErrorKind;
    use crate::domain::upload::State;

    fn digest() -> Digest {
        Digest { rejected: 2, ..Digest::default() }
    }

    #[test]
    fn signatures_are_those_of_an_independent_implementation() {
        // python3: base64(hmac(key, text, sha256)) of DingTalk's and Feishu's recipes
        let now = Timestamp::from_millisecond(1_577_808_000_123).unwrap();
        let secret = Secret::from("SEC0123456789abcdef".to_owned());
        let ding = message(AlertKind::Dingtalk, &digest(), Some(&secret), now);
        assert_eq!(ding.query[0].1, "1577808000123");
        assert_eq!(ding.query[1].1, "tFMm1mopYL8dKtqot6blgJnPxWVsp/NuzWYDW4Ux8fg=");
        let feishu = message(AlertKind::Feishu, &digest(), Some(&secret), now);
        assert_eq!(feishu.body["timestamp"], "1577808000");
        assert_eq!(feishu.body["sign"], "YsMgmbaEvxb51BpXM9N2fN4uhaLd83iqW+9g91kQyYM=");
    }

    #[test]
    fn a_text_is_never_longer_than_its_robot_takes() {
        let file = |state: State, kind: ErrorKind| Refused {
            id: UploadId(7),
            brand: "OTHERBRAND/9223372036854775807".into(),
            label: Some("海尔".repeat(40)),
            file_name: "长".repeat(85),
            state,
            error_kind: Some(kind),
            error_code: (state == State::Failed).then(|| "AccessDenied".into()),
            error_message: Some("拒".repeat(300)),
        };
        let mut digest = Digest { failed: 9, rejected: 9, ..Digest::default() };
        digest.files =
            vec![file(State::Failed, ErrorKind::OssRejected), file(State::Rejected, ErrorKind::LimitReached)];
        digest.files.extend((0..3).map(|_| file(State::Failed, ErrorKind::GatewayRejected)));
        digest.begun = [(NoticeName::Paused, "x".repeat(900))].into();
        let sent = message(AlertKind::Wecom, &digest, None, Timestamp::UNIX_EPOCH);
        let text = sent.body["text"]["content"].as_str().unwrap();
        assert!(text.len() <= 2048 && text.ends_with('…'), "{}", text.len());
        let text =
            message(AlertKind::Dingtalk, &digest, None, Timestamp::UNIX_EPOCH).body["text"].to_string();
        assert!(text.contains("另有 13 个") && text.contains("序号已满，用"), "{text}");
    }

    #[test]
    fn each_robot_gets_its_envelope() {
        let now = Timestamp::UNIX_EPOCH;
        let body = |kind| message(kind, &digest(), None, now).body;
        assert!(body(AlertKind::Wecom)["text"]["content"].as_str().unwrap().contains("【不合格】2 个文件"));
        assert!(body(AlertKind::Dingtalk)["text"]["content"].is_string());
        assert!(body(AlertKind::Feishu)["content"]["text"].is_string());
        assert_eq!(body(AlertKind::Json)["rejected"], 2);
    }
}
