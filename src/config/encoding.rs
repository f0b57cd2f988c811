//! The encoding of the configuration file: UTF-8, or a word about what it is instead.

use crate::domain::text::unmarked;

/// The text of the file, or which encoding it seems to be in.
pub(super) fn text(bytes: &[u8]) -> Result<&str, String> {
    let utf16 = matches!(bytes, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) || bytes.contains(&0);
    match std::str::from_utf8(unmarked(bytes)) {
        _ if utf16 => Err("UTF-16".to_owned()),
        Ok(text) => Ok(text),
        Err(error) => {
            let line = bytes[..error.valid_up_to()].split(|byte| *byte == b'\n').count();
            Err(format!("GBK or another encoding (line {line})"))
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Settings;

    #[test]
    fn other_encodings_are_named_and_a_byte_order_mark_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.toml");
        let good = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n[watch]\nroot = \"资质图片\"\n";
        let load = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            Settings::load(&path).map_err(|problems| problems.to_string())
        };
        load(good.as_bytes()).unwrap();
        load(&[b"\xef\xbb\xbf", good.as_bytes()].concat()).unwrap();
        let utf16: Vec<u8> =
            [0xfeff].into_iter().chain(good.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        assert!(load(&utf16).unwrap_err().ends_with("is no UTF-8 but UTF-16: save it as UTF-8"));
        let gbk =
            [&good.as_bytes()[..good.find('资').unwrap()], b"\xd7\xca\xd6\xca\xcd\xbc\xc6\xac\"\n"].concat();
        let error = load(&gbk).unwrap_err();
        assert!(
            error.ends_with("is no UTF-8 but GBK or another encoding (line 5): save it as UTF-8"),
            "{error}"
        );
    }
}
