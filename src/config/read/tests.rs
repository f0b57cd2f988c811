use super::*;
use crate::domain::texts::problem_in_chinese;

fn messages(text: &str, overlay: &[(&str, &str)]) -> Vec<String> {
    let overlay: Vec<_> = overlay.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let problems = match read(Path::new("config.toml"), text, &overlay) {
        Ok((_, problems)) => problems,
        Err(problems) => problems.0,
    };
    problems.iter().map(ToString::to_string).collect()
}

#[test]
fn all_mistakes_come_at_once_with_line_and_key() {
    let text = "[gateway]\nurll = \"x\"\n[watch]\nsettle = \"soon\"\n[limits]\nconcurrency = \"four\"\n[oops]\na = 1\n";
    let messages = messages(text, &[]);
    assert_eq!(messages.len(), 4, "{messages:#?}");
    let has = |start: &str| {
        assert!(messages.iter().any(|line| line.starts_with(start)), "{start}: {messages:#?}");
    };
    has("config.toml:2: gateway.urll: unknown key `urll`");
    has("config.toml:4: watch.settle: invalid value: string \"soon\", expected a duration such as");
    has("config.toml:6: limits.concurrency: invalid type: string \"four\", expected a whole number");
    has("config.toml:7: oops: unknown key `oops`");
}

#[test]
fn broken_toml_names_its_line() {
    let messages = messages("[gateway]\nurl = \n", &[]);
    assert!(messages[0].starts_with("config.toml:2: "), "{messages:?}");
}

#[test]
fn quotation_marks_of_a_word_processor_are_named() {
    let messages = messages("[gateway]\napp_id = “a1B2”\n", &[]);
    assert!(messages[0].starts_with("config.toml:2: these quotation marks are no \""), "{messages:?}");
}

#[test]
fn a_key_of_a_brand_is_named() {
    let messages = messages("[[brand]]\ntype = \"OWNBRAND\"\nid = \"1\"\npath = \"x\"\n", &[]);
    let text = "config.toml:3: brand.id: invalid type: string \"1\", expected a whole number, without quotes";
    assert_eq!(messages, [text]);
}

#[test]
fn what_the_parser_finds_is_read_in_chinese() {
    for (text, chinese) in [
        ("[gateway]\napp_id = a1B2\n", "文本要加英文双引号"),
        ("[gateway]\napp_id = “a1B2”\n", "用了中文引号，请改成英文双引号，例如 \"text\""),
        ("[gateway]\napp_id = \"a\nx = 1", "文本里有不能用的字符，或缺少结尾的英文双引号"),
        ("[gateway]\nurl = \"a\"\nurl = \"b\"\n", "第 2 行已经有 url，请只保留一个"),
        ("[log]\n[http]\n[log]\n", "第 1 行已经有 log，请只保留一个"),
        ("[brand]\nid = 1\n", "要写两层方括号，例如 [[brand]]：可以有多个"),
        ("[network]\nresolve = \"a\"\n", "应为单独的配置段，每行写成 \"名字\" = \"值\"，写的是文本 \"a\""),
        ("[gateway\n", "配置段缺少“]”"),
        ("[gateway]\nurl\n", "缺少“=”和值"),
        ("[log]\nlevell = \"x\"\n", "没有配置项 levell，可用的有 `format`、`level`；是不是 level？"),
        ("[slots]\nbuy = \"x\"\n", "没有配置项 buy，可用的有 `by`；是不是 by？"),
        ("[log]\nlevel = 1\n", "应为文本，要加英文双引号，写的是整数 1"),
        ("[images]\nmax_per_brand = \"ten\"\n", "应为大于等于 0 的整数，不加引号，写的是文本 \"ten\""),
        ("[images]\nmax_per_brand = -1\n", "应为大于等于 0 的整数，不加引号，写的是整数 -1"),
        (
            "[images]\nmax_bytes = \"big\"\n",
            "应为大小，例如 \"20MiB\"、\"500KB\"，或字节数，写的是文本 \"big\"",
        ),
        ("[watch]\nsettle = 1\n", "应为时间，例如 \"500ms\"、\"5s\"、\"10m\"、\"1h\"、\"90d\"，写的是整数 1"),
        ("[watch]\nignore = \"x\"\n", "应为列表，例如 [\"a\", \"b\"]，写的是文本 \"x\""),
        ("watch = 1\n", "应为配置段，写的是整数 1"),
        ("[[brand]]\ntype = \"OWNBRAND\"\nid = 1\n", "缺少 path"),
    ] {
        let problems = match read(Path::new("config.toml"), text, &[]) {
            Ok((_, problems)) => problems,
            Err(problems) => problems.0,
        };
        let said: Vec<_> = problems.iter().map(|problem| problem.message.as_str()).collect();
        let read: Vec<_> = said.iter().map(|said| problem_in_chinese(said)).collect();
        assert_eq!(read, [Some(chinese.to_owned())], "{text:?}: {said:?}");
    }
}

#[test]
fn a_brand_without_a_path_is_named() {
    let messages = messages("[[brand]]\ntype = \"OWNBRAND\"\nid = 1\n", &[]);
    assert_eq!(messages, ["config.toml:1: brand: `path` is missing"]);
}

#[test]
fn the_environment_overrides_with_the_type_that_is_wanted() {
    let overlay = [
        ("BRANDPOST_GATEWAY__APP_KEY", "30001234"),
        ("BRANDPOST_LIMITS__CONCURRENCY", "7"),
        ("BRANDPOST_OSS__ALLOWED_HOSTS", "*.example.com, localhost"),
        ("BRANDPOST_WATCH__SETTLE", "3s"),
        ("BRANDPOST_NETWORK__RESOLVE", "{ \"a.b\" = \"127.0.0.1:1\" }"),
    ];
    let overlay: Vec<_> = overlay.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let (document, problems) = read(Path::new("c"), "[watch]\nsettle = \"9s\"\n", &overlay).unwrap();
    assert_eq!(problems, []);
    assert_eq!(document.file.gateway.app_key, "30001234");
    assert_eq!(document.file.limits.concurrency, 7);
    assert_eq!(document.file.oss.allowed_hosts, ["*.example.com", "localhost"]);
    assert_eq!(document.file.watch.settle.0.as_secs(), 3);
    assert_eq!(document.file.network.resolve["a.b"], "127.0.0.1:1");
    assert!(document.is_overridden("watch.settle"));
}

#[test]
fn a_bad_variable_is_named() {
    let messages = messages("", &[("BRANDPOST_LIMITS__BURST", "many"), ("BRANDPOST_LIMIT__BURST", "1")]);
    let starts = [
        "$BRANDPOST_LIMITS__BURST: limits.burst: invalid type: string \"many\"",
        "$BRANDPOST_LIMIT__BURST: limit: unknown key",
    ];
    for start in starts {
        assert!(messages.iter().any(|line| line.starts_with(start)), "{start}: {messages:#?}");
    }
}

#[test]
fn a_secret_of_the_wrong_type_is_not_quoted() {
    let messages = messages("[gateway]\napp_secret = 123456\n", &[]);
    assert_eq!(messages, ["config.toml:2: gateway.app_secret: must be a text in quotes"]);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "(\\[+[a-z]*\\]*|[a-z]+ = |\"|'|[0-9]+|\n|\\{|\\}|,|\\PC)*") {
        let _ = messages(&text, &[("BRANDPOST_LIMITS__BURST", &text)]);
    }
}
