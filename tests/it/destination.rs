//! To which host pictures go, and that a change is noticed.

use brandpost::domain::failure::ErrorKind;
use std::fs;
use std::process::Command;

use brandpost::domain::upload::State;
use sandbox::{Sandbox, SandboxOptions};

use crate::support::pictures::jpg;
use crate::support::{Bench, OWN, write_private};

/// As when the platform, or whoever has taken its place, names another bucket.
#[tokio::test(flavor = "multi_thread")]
async fn another_bucket_than_before_is_warned_of_once_and_a_pinned_one_is_kept() {
    let bench = Bench::new().await;
    let other = SandboxOptions { bucket: "acme-other".into(), ..SandboxOptions::default() };
    let other = Sandbox::start(other).await.unwrap();
    let (before, after) = (bench.sandbox.addr().port().to_string(), other.addr().port().to_string());
    let mut log = String::new();
    for (name, is_other, bucket) in
        [("1.jpg", false, ""), ("2.jpg", true, ""), ("3.jpg", true, ""), ("4.jpg", true, "iotx-industry")]
    {
        bench.configure(&format!("[oss]\nhttps = \"allow\"\nbucket = \"{bucket}\"\n"));
        if is_other {
            let text = fs::read_to_string(bench.config()).unwrap().replace(&before, &after);
            write_private(&bench.config(), &text.replace("\"iotx-industry.oss", "\"acme-other.oss"));
        }
        bench.drop_file(OWN, name, &jpg(name.as_bytes()[0]));
        let mut daemon = Command::new(env!("CARGO_BIN_EXE_brandpost"));
        daemon.arg("--config").arg(bench.config()).args(["run", "--once"]);
        let output = tokio::task::spawn_blocking(move || daemon.output().unwrap()).await.unwrap();
        log += &String::from_utf8(output.stderr).unwrap();
    }
    let words = "pictures go to acme-other.oss-cn-hangzhou.aliyuncs.com now; before, they went to iotx-industry.oss-cn-hangzhou.aliyuncs.com";
    assert_eq!((log.matches("pictures go to").count(), log.contains(words)), (1, true), "{log}");
    let row = bench.row("4.jpg").await;
    assert_eq!(
        (row.state.as_str(), row.error_kind),
        (State::Failed.as_str(), Some(ErrorKind::ForbiddenHost))
    );
    assert!(row.error_message.unwrap().contains("which is not the bucket iotx-industry of oss.bucket"));
    assert_eq!(other.objects().len(), 2);
}
