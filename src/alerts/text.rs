//! What a message says, in English for programs and in Chinese for chats.

use super::digest::{Completed, Digest, RefusedFile};
use super::summary::Summary;
use crate::domain::notice::NoticeName;
use crate::domain::text::one_line;
use crate::domain::texts::{self, Language, Place};

pub(super) fn english(digest: &Digest) -> String {
    let Digest { test, failed, rejected, files, begun, over, completed, brands, summary } = digest;
    let mut lines = Vec::new();
    lines.extend(test.then(|| "A test: alerts arrive here.".to_owned()));
    lines.extend(begun.values().map(|message| format!("Trouble: {}", one_line(message, NOTICE))));
    lines.extend(over.values().map(|message| format!("Over: {}", one_line(message, NOTICE))));
    if *failed > 0 {
        lines.push(format!("{} refused by the cloud", files_of(*failed)));
    }
    if *rejected > 0 {
        lines.push(format!("{} rejected", files_of(*rejected)));
    }
    lines.extend(files.iter().map(|file| {
        let message = shortened(file.error_message.as_deref().unwrap_or_default());
        format!("{}: {message}", name(file))
    }));
    if digest.unnamed() > 0 {
        lines.push(format!("and {} more", digest.unnamed()));
    }
    if *completed > 0 {
        let word = if *completed == 1 { "brand" } else { "brands" };
        lines.push(format!("Complete: {completed} {word}, all that waited is uploaded"));
    }
    lines.extend(brands.iter().map(|brand| {
        let Completed { uploaded, failed, rejected, .. } = brand;
        let refused =
            if failed + rejected > 0 { format!(", {} refused", failed + rejected) } else { String::new() };
        format!("{}: {uploaded} uploaded{refused}", labelled(&brand.brand, brand.label.as_deref()))
    }));
    lines.extend(summary.iter().map(|summary| {
        let Summary { date, uploaded, waiting, held, failed, rejected } = summary;
        format!(
            "Summary of {date}: {uploaded} uploaded in 24 hours; now {waiting} waiting ({held} held), {failed} refused by the \
             cloud, {rejected} rejected"
        )
    }));
    format!("brandpost\n{}", lines.join("\n"))
}

/// The chat systems' readers are in China.
pub(super) fn chinese(digest: &Digest) -> String {
    let Digest { test, failed, rejected, files, begun, over, completed, brands, summary } = digest;
    let mut lines = Vec::new();
    lines.extend(test.then(|| "【测试】告警可以送达这里".to_owned()));
    lines.extend(begun.iter().map(|(name, message)| begins(*name, message)));
    lines.extend(over.iter().map(|(name, message)| match ends(*name) {
        Some(words) => words.to_owned(),
        None => format!("【恢复】{}", one_line(&in_chinese(message), NOTICE)),
    }));
    if *failed > 0 {
        lines.push(format!("【云端拒绝】{failed} 个文件"));
    }
    if *rejected > 0 {
        lines.push(format!("【不合格】{rejected} 个文件"));
    }
    lines.extend(files.iter().map(|file| format!("{}：{}", name(file), reason(file))));
    if digest.unnamed() > 0 {
        lines.push(format!("另有 {} 个", digest.unnamed()));
    }
    if *completed > 0 {
        lines.push(format!("【完成】{completed} 个品牌的待传文件已全部上传"));
    }
    lines.extend(brands.iter().map(|brand| {
        let Completed { uploaded, failed, rejected, .. } = brand;
        let refused = if failed + rejected > 0 {
            format!("，未通过 {} 个", failed + rejected)
        } else {
            String::new()
        };
        format!("{}：共上传 {uploaded} 个{refused}", labelled(&brand.brand, brand.label.as_deref()))
    }));
    lines.extend(summary.iter().map(|summary| {
        let Summary { date, uploaded, waiting, held, failed, rejected } = summary;
        format!(
            "【每日汇总】{date}：近 24 小时上传 {uploaded} 个；目前等待 {waiting} 个（其中待确认 {held} 个），云端拒绝 {failed} 个，\
             不合格 {rejected} 个"
        )
    }));
    format!("brandpost 品牌资质图片上传\n{}", lines.join("\n"))
}

/// A notice as a line: its heading, and the details, which may begin with the same words.
fn begins(notice: NoticeName, message: &str) -> String {
    let mark = if notice == NoticeName::Suspended { "通知" } else { "故障" };
    let message = one_line(&in_chinese(message), NOTICE);
    if notice == NoticeName::Unserved {
        // it says it all
        return format!("【{mark}】{message}");
    }
    let heading = texts::notice_in_chinese(notice);
    let rest = message.strip_prefix(heading).map(|rest| rest.trim_start_matches(['：', '；']));
    format!("【{mark}】{heading}：{}", rest.unwrap_or(&message))
}

fn ends(notice: NoticeName) -> Option<&'static str> {
    match notice {
        NoticeName::Away => Some("【恢复】失联的主机已恢复"),
        NoticeName::Root => Some("【恢复】监视目录已恢复"),
        NoticeName::Unreadable => Some("【恢复】所有目录都能读取了"),
        NoticeName::Paused => Some("【恢复】上传已恢复"),
        NoticeName::Throttled => Some("【恢复】云端限流已解除"),
        NoticeName::Rebuilt => Some("【恢复】待确认的文件已处理完"),
        NoticeName::Suspended => Some("【通知】人工暂停已取消"),
        NoticeName::Unserved => None,
    }
}

fn files_of(count: u64) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

/// Messages about files are short: `brandpost show` has the rest.
fn shortened(message: &str) -> String {
    one_line(message, 160)
}

/// Those of notices end with what to do, and there are few of them: so many characters are shown.
const NOTICE: usize = 600;

fn name(file: &RefusedFile) -> String {
    let brand = labelled(&file.brand, file.label.as_deref());
    format!("{brand}/{} (#{})", one_line(&file.file_name, 60), file.id)
}

fn labelled(brand: &str, label: Option<&str>) -> String {
    let label = label.map(|label| format!(" {}", one_line(label, 30)));
    brand.to_owned() + &label.unwrap_or_default()
}

/// What it is, the details, and what to do; the cloud's own message where it has refused.
fn reason(file: &RefusedFile) -> String {
    let Some(kind) = file.error_kind else { return String::new() };
    let (what, message) =
        (texts::kind_in_chinese(kind), detail(file.error_message.as_deref().unwrap_or_default()));
    if let Some(code) = &file.error_code {
        return format!("{what} [{code}] {message}");
    }
    let todo = texts::advice(kind, Language::Chinese, Place::CommandLine);
    format!("{what}，{message}。{todo}")
}

/// In Chinese, if it is a text of ours.
fn in_chinese(message: &str) -> String {
    texts::detail_in_chinese(message).unwrap_or_else(|| message.to_owned())
}

fn detail(message: &str) -> String {
    shortened(&in_chinese(message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::brand::UploadId;
    use crate::domain::failure::ErrorKind;
    use crate::domain::upload::State;

    #[test]
    fn details_are_chinese_where_they_are_ours() {
        let file = RefusedFile {
            id: UploadId(7),
            brand: "OWNBRAND/1001".into(),
            label: Some("海尔".into()),
            file_name: "a.jpg".into(),
            state: State::Rejected,
            error_kind: Some(ErrorKind::UnsupportedFormat),
            error_code: None,
            error_message: Some(
                "this is a PDF document, not a JPG, PNG or GIF: save its pages as pictures".into(),
            ),
        };
        let brand =
            Completed { brand: "OWNBRAND/1".into(), label: None, uploaded: 3, failed: 1, rejected: 0 };
        let text = chinese(&Digest {
            rejected: 1,
            files: vec![file],
            begun: [(
                NoticeName::Suspended,
                "uploads are paused by an operator; `brandpost resume` lets them go on".into(),
            )]
            .into(),
            completed: 1,
            brands: vec![brand],
            ..Digest::default()
        });
        assert_eq!(
            text,
            "brandpost 品牌资质图片上传\n\
             【通知】上传已被人工暂停：用 `brandpost resume` 恢复\n\
             【不合格】1 个文件\n\
             OWNBRAND/1001 海尔/a.jpg (#7)：格式不支持，这是 PDF 文档，不是 JPG、PNG 或 GIF：请把页面另存为图片。\
             请另存为 JPG、PNG 或 GIF 后重新放入。\n\
             【完成】1 个品牌的待传文件已全部上传\n\
             OWNBRAND/1：共上传 3 个，未通过 1 个"
        );
    }
}
