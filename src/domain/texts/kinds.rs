//! What each kind of error is, and what to do about it.

use super::{Language, Place};
use crate::domain::failure::ErrorKind;

/// What it is in Chinese, and in English for people who do not know its word.
pub(super) fn words(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::UnsupportedFormat => ("格式不支持", "Not a JPG, PNG or GIF"),
        ErrorKind::DamagedImage => ("图片损坏", "Incomplete or damaged"),
        ErrorKind::SuffixMismatch => ("后缀不符", "The suffix does not match the content"),
        ErrorKind::TooLarge => ("文件过大", "The file is too large"),
        ErrorKind::TooManyPixels => ("像素过多", "Too many pixels"),
        ErrorKind::NotAFile => ("不是普通文件", "Not a regular file"),
        ErrorKind::Unreadable => ("无法读取", "The file cannot be read"),
        ErrorKind::LimitReached => ("序号已满", "All slots are taken"),
        ErrorKind::Duplicate => ("重复图片", "The same picture is there already"),
        ErrorKind::SlotTaken => ("序号被占用", "The slot in its name is taken"),
        ErrorKind::GatewayRejected => ("网关拒绝", "The platform refused it"),
        ErrorKind::OssRejected => ("OSS 拒绝", "OSS refused it"),
        ErrorKind::ForbiddenHost => ("域名不在白名单", "The upload host is not allowed"),
        ErrorKind::BadUploadUrl => ("上传地址无效", "The platform’s upload address is unusable"),
        ErrorKind::AttemptsExhausted => ("重试次数用尽", "All attempts are used up"),
        ErrorKind::Network => ("网络错误", "The network failed"),
        ErrorKind::Timeout => ("超时", "It took too long"),
        ErrorKind::GatewayError => ("网关故障", "The platform has a problem"),
        ErrorKind::OssError => ("OSS 故障", "OSS has a problem"),
        ErrorKind::Throttled => ("被限流", "Asked to slow down"),
        ErrorKind::Credentials => ("凭证无效", "Credentials are not accepted"),
        ErrorKind::ClockSkew => ("时钟不准", "The machine’s clock is wrong"),
        ErrorKind::ChecksumMismatch => ("校验不一致", "The checksum did not match"),
        ErrorKind::FileChanged => ("文件有变动", "The file changed meanwhile"),
    }
}

/// What a person can do, in Chinese and in English. `{retry}`, `{release}` and `{show}` are done in each place in
/// another way.
#[expect(clippy::too_many_lines, reason = "a table")]
fn steps(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::UnsupportedFormat => (
            "请另存为 JPG、PNG 或 GIF 后重新放入。",
            "Save the picture as JPG, PNG or GIF and drop it again.",
        ),
        ErrorKind::DamagedImage => (
            "这份文件不完整或已损坏，请从原处重新拷贝。",
            "Copy the file again from its source; this copy is incomplete or broken.",
        ),
        ErrorKind::SuffixMismatch => {
            ("请把后缀改成与图片实际格式一致。", "Rename the file so that its suffix says what it is.")
        }
        ErrorKind::TooLarge => {
            ("请压缩图片，或调大 images.max_bytes。", "Make the file smaller, or raise images.max_bytes.")
        }
        ErrorKind::TooManyPixels => (
            "请缩小图片尺寸，或调大 images.max_pixels。",
            "Scale the picture down, or raise images.max_pixels.",
        ),
        ErrorKind::NotAFile => (
            "请放入图片本身，不要放链接或特殊文件。",
            "Put the picture itself here, not a link or a special file.",
        ),
        ErrorKind::Unreadable => (
            "请让服务用户能读取该文件，之后会自动处理。",
            "Let the service's user read the file; it is taken by itself then.",
        ),
        ErrorKind::LimitReached => (
            "请释放一个序号{release}，等得最久的文件会自动补上。",
            "Free a slot{release}; the oldest waiting file then takes it.",
        ),
        ErrorKind::Duplicate => (
            "无需处理：同一张图片已以另一个文件名存在。",
            "Nothing to do: the same picture is there under another name.",
        ),
        ErrorKind::SlotTaken => (
            "请用空闲的序号命名，或释放该序号{release}。",
            "Name the file after a free slot, or free this one{release}.",
        ),
        ErrorKind::GatewayRejected => (
            "请在平台上核对类型、资质记录 id 和 appId，再{retry}。",
            "Check type, record id and appId on the platform, then {retry}.",
        ),
        ErrorKind::OssRejected => (
            "请按 OSS 返回的错误码处理，再{retry}。",
            "Read the code of OSS beside it, mend the cause, then {retry}.",
        ),
        ErrorKind::ForbiddenHost => (
            "确认域名无误后加入 oss.allowed_hosts，再{retry}。",
            "If the host is right, add it to oss.allowed_hosts, then {retry}.",
        ),
        ErrorKind::BadUploadUrl => (
            "网关返回的地址无法使用，请反馈给平台，之后再{retry}。",
            "The gateway's answer is unusable; report it to the platform, then {retry}.",
        ),
        ErrorKind::AttemptsExhausted => {
            ("请查看最近的错误{show}，处理后再{retry}。", "Look at the last errors{show}, then {retry}.")
        }
        ErrorKind::Network | ErrorKind::Timeout => (
            "会自动重试；如果一直这样，请检查网络。",
            "It is tried again by itself; check the network if it lasts.",
        ),
        ErrorKind::GatewayError | ErrorKind::OssError => {
            ("会自动重试，问题在云端。", "It is tried again by itself; the cloud has a problem.")
        }
        ErrorKind::Throttled => (
            "会自动放慢后重试；如果一直这样，请调低 [limits]。",
            "It is tried again by itself, slower; lower the pace under [limits] if it lasts.",
        ),
        ErrorKind::Credentials => (
            "请检查 gateway.app_key 和 AppSecret，改正之前全部等待。",
            "Check gateway.app_key and the app secret; everything waits until they are right.",
        ),
        ErrorKind::ClockSkew => (
            "请校准本机时间（NTP），之后会自动重试。",
            "Set the machine's clock (NTP); it is tried again by itself.",
        ),
        ErrorKind::ChecksumMismatch => (
            "会自动重新读取并上传；如果一直这样，请检查到 OSS 途中是否有代理改动了内容。",
            "It is read and sent again by itself; if it lasts, see what changes the way to OSS (a proxy).",
        ),
        ErrorKind::FileChanged => {
            ("文件稳定之后会自动重新处理。", "It is taken again by itself once it is still.")
        }
    }
}

/// What a person can do about it, one sentence.
pub fn advice(kind: ErrorKind, language: Language, place: Place) -> String {
    let (chinese, english) = steps(kind);
    let (text, words) = match (language, place) {
        (Language::English, Place::CommandLine) => {
            (english, ["`brandpost retry`", " with `brandpost release`", " with `brandpost show`"])
        }
        (Language::English, Place::Page) => (english, ["try again", "", ""]),
        (Language::Chinese, Place::CommandLine) => {
            (chinese, ["执行 `brandpost retry`", "（`brandpost release`）", "（`brandpost show`）"])
        }
        (Language::Chinese, Place::Page) => (chinese, ["点“重新上传”", "", ""]),
    };
    ["{retry}", "{release}", "{show}"]
        .iter()
        .zip(words)
        .fold(text.to_owned(), |text, (name, words)| text.replace(name, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_words_and_its_sentence() {
        for kind in ErrorKind::ALL {
            let (chinese, english) = words(kind);
            assert!(!chinese.is_ascii() && english.starts_with(|c: char| c.is_ascii_uppercase()), "{kind}");
            for place in [Place::CommandLine, Place::Page] {
                let said =
                    [Language::English, Language::Chinese].map(|language| advice(kind, language, place));
                assert!(said[0].ends_with('.') && said[1].ends_with('。'), "{said:?}");
                assert!(said.iter().all(|text| !text.contains('{')), "{said:?}");
                assert!(place == Place::CommandLine || !said.concat().contains("brandpost"), "{said:?}");
            }
        }
    }
}
