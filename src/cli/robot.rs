//! Does `alerts.kind` fit the robot at `alerts.webhook`?

use url::Url;

use super::lang::tr;
use crate::config::{AlertKind, Settings};

/// The hosts of the robots, what they are called, and their kind.
const ROBOTS: [(&str, AlertKind, &str, &str); 4] = [
    ("oapi.dingtalk.com", AlertKind::Dingtalk, "dingtalk", "钉钉"),
    ("qyapi.weixin.qq.com", AlertKind::Wecom, "wecom", "企业微信"),
    ("open.feishu.cn", AlertKind::Feishu, "feishu", "飞书"),
    ("open.larksuite.com", AlertKind::Feishu, "feishu", "Lark"),
];

/// What is wrong with it, as far as the address shows.
pub(super) fn wrong_kind(settings: &Settings) -> Option<String> {
    let webhook = settings.alerts.webhook.as_ref()?.load().ok()?;
    let url = Url::parse(webhook.expose()).ok()?;
    let (host, kind, word, name) = ROBOTS.iter().find(|(host, ..)| url.host_str() == Some(host))?;
    (settings.alerts.kind != *kind).then(|| {
        tr!(
            "alerts.webhook is at {host}: set alerts.kind = \"{word}\", or the robot refuses the alerts",
            "alerts.webhook 是{name}的地址（{host}）：请设置 alerts.kind = \"{word}\"，否则机器人会拒收",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_robot_is_known_by_its_host() {
        let of = |url: &str, kind: &str| {
            let text = format!("[gateway]\napp_id = \"a\"\napp_key = \"k\"\n[alerts]\nkind = \"{kind}\"\n");
            let webhook = [("BRANDPOST_ALERTS__WEBHOOK".into(), url.into())];
            wrong_kind(&Settings::parse("c.toml".as_ref(), &text, webhook.into_iter()).unwrap())
        };
        let url = "https://oapi.dingtalk.com/robot/send?access_token=x";
        let text = of(url, "json").unwrap();
        assert!(text.contains("alerts.kind = \"dingtalk\"") && !text.contains("access_token"), "{text}");
        assert_eq!(of(url, "dingtalk"), None);
        assert_eq!(of("https://example.com/dingtalk.com", "json"), None);
    }
}
