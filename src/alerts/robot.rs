//! The messages that the chat systems' robots accept: a text in the format of each, and `DingTalk`'s and Feishu's
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

use super::digest::Digest;
use super::text::{chinese, english};
use crate::config::{AlertKind, Secret};

/// What is sent: the body, and what is added to the URL's query.
pub(super) struct Message {
    pub(super) body: Value,
    pub(super) query: Vec<(&'static str, String)>,
}

pub(super) fn message(kind: AlertKind, digest: &Digest, secret: Option<&Secret>, now: Timestamp) -> Message {
    let mut query = Vec::new();
    let text = cut(without_mentions(&chinese(digest)), most(kind));
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

/// A name must not call everybody: `<at user_id="all">` and `<@all>` are mentions.
fn without_mentions(text: &str) -> String {
    text.replace('<', "＜")
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// For programs.
pub(super) fn data(digest: &Digest, now: Timestamp) -> Value {
    let Digest { test, failed, rejected, files, begun, over, completed, brands, summary } = digest;
    json!({
        "service": "brandpost",
        "time": crate::domain::clock::rfc3339(now),
        "text": english(digest),
        "test": test,
        "failed": failed,
        "rejected": rejected,
        "files": files,
        "begun": begun,
        "over": over,
        "completed": completed,
        "brands": brands,
        "summary": summary,
    })
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
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::civil::Date;

    use super::super::digest::{Completed, RefusedFile};
    use super::super::summary::Summary;
    use super::*;
    use crate::domain::brand::UploadId;
    use crate::domain::failure::ErrorKind;
    use crate::domain::notice::NoticeName;
    use crate::domain::upload::State;

    fn digest() -> Digest {
        Digest { rejected: 2, ..Digest::default() }
    }

    /// What programs read is documented, and nothing else is.
    #[test]
    fn every_field_is_in_the_reference() {
        let full = Digest {
            files: vec![RefusedFile {
                id: UploadId(1),
                brand: "OWNBRAND/1".into(),
                label: None,
                file_name: "1.jpg".into(),
                state: State::Failed,
                error_kind: Some(ErrorKind::OssRejected),
                error_code: None,
                error_message: None,
            }],
            brands: vec![Completed {
                brand: "OWNBRAND/1".into(),
                label: None,
                uploaded: 1,
                failed: 0,
                rejected: 0,
            }],
            summary: Some(Summary {
                date: Date::MIN,
                uploaded: 1,
                waiting: 0,
                held: 0,
                failed: 0,
                rejected: 0,
            }),
            begun: NoticeName::ALL.map(|name| (name, String::new())).into(),
            ..digest()
        };
        let data = data(&full, Timestamp::UNIX_EPOCH);
        for reference in ["reference.md", "reference.zh-CN.md"] {
            let text = format!("{}/docs/{reference}", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(text).unwrap();
            let rows = text.rsplit("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| `"));
            let documented: BTreeMap<_, BTreeSet<_>> = rows
                .map(|row| {
                    let mut names = row.split('`').skip(1).step_by(2).filter(|name| !name.starts_with('"'));
                    (names.next().unwrap(), names.collect())
                })
                .collect();
            let fields = |value: &Value| {
                let object = value.as_array().map_or(value, |list| &list[0]).as_object();
                object.into_iter().flat_map(|object| object.keys().cloned()).collect::<BTreeSet<_>>()
            };
            for (name, value) in data.as_object().unwrap() {
                let there = fields(value);
                assert!(documented[&**name].iter().eq(there.iter()), "{name} in {reference}: {there:?}");
            }
            assert_eq!(documented.len(), data.as_object().unwrap().len(), "{reference}");
        }
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
        let file = |state: State, kind: ErrorKind| RefusedFile {
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
        assert!(text.contains("另有 13 个") && text.contains("。请释放一个序号"), "{text}");
    }

    #[test]
    fn a_name_calls_nobody() {
        let begun = [(NoticeName::Paused, "<at user_id=\"all\">x</at> <@all>".to_owned())].into();
        let digest = Digest { begun, ..Digest::default() };
        for kind in [AlertKind::Feishu, AlertKind::Wecom, AlertKind::Dingtalk] {
            let body = message(kind, &digest, None, Timestamp::UNIX_EPOCH).body.to_string();
            assert!(body.contains("＜at user_id") && !body.contains('<'), "{body}");
        }
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
