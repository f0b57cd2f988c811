//! `brandpost check --alerts`: do messages arrive?

use rustix::process::geteuid;

use super::{Findings, note};
use crate::alerts::Trial;
use crate::cli::lang::{self, tr};
use crate::cli::service;
use crate::config::Settings;
use crate::domain::clock::{Clock, SystemClock};

/// Sends a test message through each channel.
pub(super) async fn try_out(findings: &mut Findings, settings: &Settings) {
    let mut trial = match Trial::new(settings) {
        Ok(trial) => trial,
        Err(error) => return findings.add("alerts", Err(lang::error(error.as_ref()))),
    };
    if trial.is_empty() {
        let text = tr!(
            "nobody is told anything: neither alerts.webhook nor alerts.command is set",
            "不会通知任何人：alerts.webhook 和 alerts.command 都没有设置"
        );
        return findings.add("alerts", Err(text));
    }
    if geteuid().is_root() && trial.leave_out_commands() {
        // in root's session it could reach root's terminal, and whoever is the service's user could reach it
        let text = tr!(
            "command: root starts no program of the service's; to try it, run this as the service's user",
            "command：root 不会启动服务的程序；要测试它，请以服务用户的身份执行本命令"
        );
        note("alerts", &text);
    }
    let send = async move || trial.run(SystemClock.now()).await;
    let results = match service::run_as_service(&settings.database.path, send).await {
        Some(Ok(results)) => results,
        Some(Err(error)) => return findings.add("alerts", Err(error.to_string())),
        None => {
            let text = tr!("this user cannot send as the service's", "无法以服务用户的身份发送");
            return findings.add("alerts", Err(text));
        }
    };
    for (channel, result) in results {
        let accepted = |()| tr!("{channel}: the test message was accepted", "{channel}：测试消息已被接收");
        let refused = |why: String| {
            let why = lang::detail(&why);
            tr!("{channel}: {why}", "{channel}：{why}")
        };
        findings.add("alerts", result.map(accepted).map_err(refused));
    }
}
