//! What the chat systems' robots take: a text in an envelope of their own, and `DingTalk`'s and Feishu's
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

use super::digest::{Digest, Refused};
use crate::config::{AlertKind, Secret};

/// What is sent: the body, and what is added to the URL's query.
pub(super) struct Message {
    pub(super) body: Value,
    pub(super) query: Vec<(&'static str, String)>,
}

pub(super) fn message(kind: AlertKind, digest: &Digest, secret: Option<&Secret>, now: Timestamp) -> Message {
    let mut query = Vec::new();
    let body = match kind {
        AlertKind::Json => data(digest, now),
        AlertKind::Wecom => json!({"msgtype": "text", "text": {"content": chinese(digest)}}),
        AlertKind::Dingtalk => {
            if let Some(secret) = secret {
                let millis = now.as_millisecond();
                let text = format!("{millis}\n{}", secret.expose());
                let sign = STANDARD.encode(hmac(secret.expose().as_bytes(), text.as_bytes()));
                query = vec![("timestamp", millis.to_string()), ("sign", sign)];
            }
            json!({"msgtype": "text", "text": {"content": chinese(digest)}})
        }
        AlertKind::Feishu => {
            let mut body = json!({"msg_type": "text", "content": {"text": chinese(digest)}});
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
    })
}

fn english(digest: &Digest) -> String {
    let mut lines = Vec::new();
    lines.extend(digest.begun.values().map(|message| format!("Trouble: {message}")));
    lines.extend(digest.over.values().map(|message| format!("Over: {message}")));
    if digest.failed > 0 {
        lines.push(format!("{} refused by the cloud", files(digest.failed)));
    }
    if digest.rejected > 0 {
        lines.push(format!("{} rejected", files(digest.rejected)));
    }
    lines.extend(digest.files.iter().map(line));
    format!("brandpost\n{}", lines.join("\n"))
}

/// The chat systems' readers are in China.
fn chinese(digest: &Digest) -> String {
    let mut lines = Vec::new();
    lines.extend(digest.begun.iter().map(|(name, message)| format!("【故障】{}：{message}", what(name))));
    lines.extend(digest.over.keys().map(|name| format!("【恢复】{}已解除", what(name))));
    if digest.failed > 0 {
        lines.push(format!("【云端拒绝】{} 个文件", digest.failed));
    }
    if digest.rejected > 0 {
        lines.push(format!("【不合格】{} 个文件", digest.rejected));
    }
    lines.extend(digest.files.iter().map(line));
    format!("brandpost 品牌资质图片上传\n{}", lines.join("\n"))
}

fn what(notice: &str) -> &str {
    match notice {
        "root" => "监视目录不可用",
        "paused" => "上传暂停",
        "rebuilt" => "数据库已重建，部分文件待确认",
        "suspended" => "人工暂停上传",
        other => other,
    }
}

fn files(count: usize) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

fn line(file: &Refused) -> String {
    let message = file.error_message.as_deref().unwrap_or_default();
    format!("{}/{} (#{}): {message}", file.brand, file.file_name, file.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest() -> Digest {
        let mut digest = Digest::default();
        digest.rejected = 2;
        digest
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
    fn each_robot_gets_its_envelope() {
        let now = Timestamp::UNIX_EPOCH;
        let body = |kind| message(kind, &digest(), None, now).body;
        assert!(body(AlertKind::Wecom)["text"]["content"].as_str().unwrap().contains("【不合格】2 个文件"));
        assert!(body(AlertKind::Dingtalk)["text"]["content"].is_string());
        assert!(body(AlertKind::Feishu)["content"]["text"].is_string());
        assert_eq!(body(AlertKind::Json)["rejected"], 2);
    }
}
