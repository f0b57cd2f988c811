//! The details of failures and notices, errors, and mistakes of the configuration, in Chinese.
//!
//! The database keeps them in English, made by the code that finds them out. Here each of those texts stands once more,
//! as a pattern, with its Chinese: a message is read by its pattern, and its values, which may be texts of ours too, go
//! into the other one. So no row needs a second column, and what others say (a cloud, the system) stays as it came. A test
//! compares the patterns with the texts in the source, both ways.

use super::{Pattern, configuration, database, failures, parser, pictures};
use crate::domain::failure::ErrorKind;

/// All patterns that stand in our source, with their Chinese.
pub fn patterns() -> impl Iterator<Item = (&'static str, &'static str)> {
    let tables = [pictures::TEXTS, failures::TEXTS, configuration::TEXTS, database::TEXTS];
    tables.into_iter().flatten().copied()
}

/// A detail, or an error, in Chinese; `None`: it is none of our texts.
pub fn chinese(text: &str) -> Option<String> {
    translated(text, failures::SYSTEM)
}

/// What is wrong with the configuration in Chinese, also where the parser has found it; `None`: unknown words.
pub fn problem_in_chinese(text: &str) -> Option<String> {
    parser::syntax(text).or_else(|| translated(text, parser::TEXTS)).or_else(|| chinese(text))
}

/// By our patterns, and those of others.
fn translated(text: &str, others: &[Pattern]) -> Option<String> {
    let all = patterns().chain(others.iter().copied());
    let fitting = all.filter_map(|(english, chinese)| Some((english, chinese, values(english, text)?)));
    // the one that says most of it; one that begins with a value may be the value of another
    let said = |english: &str, values: &[&str]| english.len() - 2 * values.len();
    let best = fitting
        .max_by_key(|(english, _, values)| (!english.starts_with("{}"), said(english, values), *english));
    let (_, chinese, values) = best.or_else(|| failure(text))?;
    Some(fill(chinese, &values, others))
}

/// `network: no route` and `credentials [A403IS]: Invalid Signature`, as a failure is written within another text.
fn failure(text: &str) -> Option<(&'static str, &'static str, Vec<&str>)> {
    let (kind, rest) = text.split_once(": ")?;
    let (kind, code) = match kind.split_once(" [") {
        Some((kind, code)) => (kind, code.strip_suffix(']')?),
        None => (kind, ""),
    };
    let (name, _) = super::kinds::words(kind.parse::<ErrorKind>().ok()?);
    Some(if code.is_empty() {
        ("", "{}：{}", vec![name, rest])
    } else {
        ("", "{} [{}]：{}", vec![name, code, rest])
    })
}

/// The values of a text that fits a pattern.
fn values<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut values = Vec::new();
    let mut parts = parts.peekable();
    while let Some(part) = parts.next() {
        // behind the last value is the end
        let at = if parts.peek().is_none() { rest.strip_suffix(part)?.len() } else { rest.find(part)? };
        values.push(&rest[..at]);
        rest = &rest[at + part.len()..];
    }
    rest.is_empty().then_some(values)
}

/// Values are put in their places, in Chinese where they are texts of ours.
fn fill(pattern: &str, values: &[&str], others: &[Pattern]) -> String {
    let mut text = String::new();
    let mut next = values.iter();
    let mut rest = pattern;
    while let Some((before, behind)) = rest.split_once('{') {
        let (place, behind) = behind.split_once('}').unwrap_or((behind, ""));
        let value = if place.is_empty() {
            next.next()
        } else {
            place.parse().ok().and_then(|at: usize| values.get(at))
        };
        let value = value.copied().unwrap_or_default();
        text += before;
        let state = || value.parse().ok().map(|state| super::state_in_chinese(state).to_owned());
        text += &translated(value, others).or_else(state).unwrap_or_else(|| value.to_owned());
        rest = behind;
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use proptest::prelude::*;

    #[test]
    fn messages_are_read_with_their_values() {
        for (english, expected) in [
            (
                "this is a PDF document, not a JPG, PNG or GIF: save its pages as pictures",
                "这是 PDF 文档，不是 JPG、PNG 或 GIF：请把页面另存为图片",
            ),
            ("the file ends too early: it is empty", "文件不完整：文件是空的"),
            ("the picture is damaged: its picture data breaks off after 41 %", "图片数据在 41% 处中断"),
            (
                "the database is damaged: /x.db: file is not a database; the daemon puts a database of its own aside when it starts; else restore a backup, or move it away",
                "数据库已损坏：/x.db：文件不是数据库；如果是守护进程自己的数据库，启动时会自动改名保存并重建；否则请恢复备份，或移走它",
            ),
            (
                "given up after 3 attempts; the last error was: network: cannot connect to h: Connection refused (os error 111)",
                "尝试 3 次后放弃，最后一次的错误：网络错误：连不上 h：连接被拒绝",
            ),
            (
                "the gateway does not accept our credentials; nothing is sent until it does. Check gateway.app_key and the app secret: credentials [A403IS]: Invalid Signature",
                "网关不接受我们的凭证，在它接受之前不会上传。请检查 gateway.app_key 和 AppSecret：凭证无效 [A403IS]：Invalid Signature",
            ),
            (
                "cannot connect to a.b through the proxy p: x; check this machine's clock (NTP)",
                "连不上 a.b（经代理 p）：x；请检查本机时钟（NTP）",
            ),
            (
                "the gateway's uploadUrl is unusable: it is neither http nor https",
                "网关给的 uploadUrl 不可用：既不是 http 也不是 https",
            ),
            (
                "HTTP 403 from h without x-ca-request-id: it comes from a proxy, a firewall or a login page in between (server: n); let this machine reach h",
                "h 返回 HTTP 403，但没有 x-ca-request-id：应答来自中间的代理、防火墙或登录页（server：n）；请让本机能访问 h",
            ),
        ] {
            assert_eq!(chinese(english).as_deref(), Some(expected));
        }
        assert_eq!(
            chinese("slot 3 of OWNBRAND/1 belongs to 3.jpg (uploaded); release it first").as_deref(),
            Some("OWNBRAND/1 的序号 3 属于 3.jpg（已上传），请先释放")
        );
        assert_eq!(chinese("Record not found / 资质记录不存在"), None);
    }

    #[test]
    fn each_pattern_is_its_own_and_keeps_all_values() {
        let mut known = HashSet::new();
        for (english, translated) in patterns() {
            assert!(known.insert(english), "twice: {english}");
            let count = english.matches("{}").count();
            let values: Vec<_> = (0..count).map(|at| format!("v{at}")).collect();
            let message = values.iter().fold(english.to_owned(), |text, value| text.replacen("{}", value, 1));
            let said = chinese(&message).unwrap_or_else(|| panic!("{message}"));
            assert!(values.iter().all(|value| said.contains(value)), "{message} → {said}");
            let own = fill(translated, &values.iter().map(String::as_str).collect::<Vec<_>>(), &[]);
            assert_eq!(said, own, "another pattern takes {message}");
            // where the kind of the error says it already, the value is all
            assert!(translated == "{}" || !said.is_ascii(), "{said}");
            assert!(!said.contains(['{', '}']), "{said}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", start in 0..200_usize) {
            let (pattern, _) = patterns().nth(start).unwrap();
            let _ = chinese(&text);
            let _ = chinese(&pattern.replace("{}", &text));
        }
    }
}
