//! Kinds of errors in Simplified Chinese, for operators: what it is, and what to do.

use super::failure::ErrorKind;

/// What it is, and what a person can do about it.
pub fn words(kind: ErrorKind) -> (&'static str, &'static str) {
    match kind {
        ErrorKind::UnsupportedFormat => ("格式不支持", "请另存为 JPG、PNG 或 GIF 后重新放入。"),
        ErrorKind::DamagedImage => ("图片损坏", "这份文件不完整或已损坏，请从原处重新拷贝。"),
        ErrorKind::SuffixMismatch => ("后缀不符", "请把后缀改成与图片实际格式一致。"),
        ErrorKind::TooLarge => ("文件过大", "请压缩图片，或调大 images.max_bytes。"),
        ErrorKind::TooManyPixels => ("像素过多", "请缩小图片尺寸，或调大 images.max_pixels。"),
        ErrorKind::NotAFile => ("不是普通文件", "请放入图片本身，不要放链接或特殊文件。"),
        ErrorKind::Unreadable => ("无法读取", "请让服务用户能读取该文件，之后会自动处理。"),
        ErrorKind::LimitReached => {
            ("序号已满", "用 `brandpost release` 腾出序号，等得最久的文件会自动补上。")
        }
        ErrorKind::Duplicate => ("重复图片", "无需处理：同一张图片已以另一个文件名存在。"),
        ErrorKind::SlotTaken => ("序号被占用", "请用空闲的序号命名，或用 `brandpost release` 释放该序号。"),
        ErrorKind::GatewayRejected => {
            ("网关拒绝", "请在平台上核对类型、资质记录 id 和 appId，再执行 `brandpost retry`。")
        }
        ErrorKind::OssRejected => ("OSS 拒绝", "请按 OSS 返回的错误码处理，再执行 `brandpost retry`。"),
        ErrorKind::ForbiddenHost => {
            ("域名不在白名单", "确认域名无误后加入 oss.allowed_hosts，再执行 `brandpost retry`。")
        }
        ErrorKind::BadUploadUrl => ("上传地址无效", "网关返回的地址无法使用，请反馈给平台后重试。"),
        ErrorKind::AttemptsExhausted => {
            ("重试次数用尽", "用 `brandpost show` 查看最近的错误，再执行 `brandpost retry`。")
        }
        ErrorKind::Network => ("网络错误", "会自动重试；如果一直这样，请检查网络。"),
        ErrorKind::Timeout => ("超时", "会自动重试；如果一直这样，请检查网络。"),
        ErrorKind::GatewayError => ("网关故障", "会自动重试，问题在云端。"),
        ErrorKind::OssError => ("OSS 故障", "会自动重试，问题在云端。"),
        ErrorKind::Throttled => ("被限流", "会自动放慢后重试；如果一直这样，请调低 [limits]。"),
        ErrorKind::Credentials => ("凭证无效", "请检查 gateway.app_key 和 AppSecret，改正之前全部等待。"),
        ErrorKind::ClockSkew => ("时钟不准", "请校准本机时间（NTP），之后会自动重试。"),
        ErrorKind::ChecksumMismatch => {
            ("校验不一致", "会自动重新读取并上传；如果一直这样，请检查到 OSS 途中是否有代理改动了内容。")
        }
        ErrorKind::FileChanged => ("文件有变动", "文件稳定之后会自动重新处理。"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_chinese_words() {
        for kind in ErrorKind::ALL {
            let (word, advice) = words(kind);
            assert!(!word.is_ascii() && advice.ends_with('。'), "{kind}");
        }
    }
}
