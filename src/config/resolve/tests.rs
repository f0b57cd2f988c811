use super::*;
use crate::config::settings::HostPattern;

const GOOD: &str = "[gateway]\napp_id = \"a\"\napp_key = \"k\"\n";

fn parse(text: &str) -> Result<Settings, Problems> {
    Settings::parse(Path::new("/etc/brandpost/config.toml"), text, std::iter::empty())
}

#[test]
fn relative_paths_count_from_the_folder_of_the_file() {
    let settings = parse(GOOD).unwrap();
    assert_eq!(settings.watch.root, Path::new("/etc/brandpost/inbox"));
    assert_eq!(settings.database.path, Path::new("/etc/brandpost/brandpost.db"));
}

#[test]
fn zero_means_no_limit() {
    let settings = parse(&format!("{GOOD}[images]\nmax_bytes = 0\nmax_pixels = 0\n")).unwrap();
    assert_eq!((settings.images.max_bytes, settings.images.max_pixels), (u64::MAX, u64::MAX));
}

#[test]
fn impossible_values_are_all_named() {
    let text = format!(
        "{GOOD}url = \"ftp://x/y\"\nstage = \"LIVE\"\n[oss]\nkey_template = \"{{id}}\"\nallowed_hosts = []\n\
         [limits]\nconcurrency = 0\n[watch]\nmode = \"magic\"\n[http]\nlisten = \"0.0.0.0:80\"\n"
    );
    let problems = parse(&text).unwrap_err().to_string();
    let lines = [
        ":4: gateway.url:",
        ":5: gateway.stage:",
        ":7: oss.key_template:",
        ":8: oss.allowed_hosts:",
        ":10: limits.concurrency:",
        ":12: watch.mode:",
        ":14: http.listen:",
    ];
    for line in lines {
        assert!(problems.contains(line), "{line} not in\n{problems}");
    }
}

#[test]
fn what_only_a_shell_understands_is_refused() {
    let text = format!(
        "{GOOD}[watch]\nroot = \"~/inbox\"\n[[brand]]\ntype = \"OWNBRAND\"\nid = 7\npath = \"~acme\"\n"
    );
    let problems = parse(&text).unwrap_err().to_string();
    for line in [":5: watch.root: \"~\" is not replaced here", "brand[0]: \"~\" is not replaced here"] {
        assert!(problems.contains(line), "{problems}");
    }
}

#[test]
fn no_picture_is_sent_to_where_clouds_keep_credentials() {
    for host in ["169.254.169.254", "100.100.100.200", "[fe80::1]", "fd00:ec2::254"] {
        let problems =
            parse(&format!("{GOOD}[oss]\nallowed_hosts = [\"{host}\"]\n")).unwrap_err().to_string();
        assert!(problems.contains("oss.allowed_hosts: ") && problems.contains("credentials"), "{problems}");
    }
}

#[test]
fn hosts_match_on_label_boundaries() {
    let pattern = HostPattern::parse("*.aliyuncs.com").unwrap();
    for host in ["a.oss-cn-hangzhou.aliyuncs.com", "b.aliyuncs.com", "B.ALIYUNCS.COM", "b.aliyuncs.com."] {
        assert!(pattern.matches(host), "{host}");
    }
    for host in ["aliyuncs.com", ".aliyuncs.com", "evilaliyuncs.com", "aliyuncs.com.evil.net", "", "."] {
        assert!(!pattern.matches(host), "{host}");
    }
    assert!(HostPattern::parse("127.0.0.1").unwrap().matches("127.0.0.1"));
    assert!(HostPattern::parse("*").is_none());
}

#[test]
fn what_is_set_twice_or_cannot_be_meant_is_named() {
    for (text, expected) in [
        (
            "app_secret = \"s\"\napp_secret_file = \"x\"\n",
            "app_secret_file: `app_secret` is set too; keep one of them",
        ),
        ("[images]\nmax_bytes = 20\n", "max_bytes: 20 bytes would refuse every picture"),
    ] {
        let problems = parse(&format!("{GOOD}{text}")).unwrap_err().to_string();
        assert!(problems.contains(expected), "{problems}");
    }
    assert!(parse(&format!("{GOOD}[images]\nmax_bytes = 0\n")).is_ok(), "0 is no limit");
}
