//! `brandpost check`: a line a check, a hint a failure.

mod alerts;
mod database;
mod state;

use std::io::ErrorKind as ErrorKindOfIo;
use std::net::TcpListener;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anstyle::AnsiColor;
use tokio::time::Instant;

use super::NO;
use super::lang::{self, tr};
use super::robot;
use super::service;
use super::style::{FAINT, paint};
use crate::cloud::{Clients, Clouds};
use crate::config::{SecretError, Settings, TokenError, TokenSource};
use crate::domain::clock::{Clock, SystemClock};
use crate::domain::failure::ErrorKind;
use crate::domain::text::{shown, visible};
use crate::intake::{self, backlog::Backlog};
use crate::ledger::DaemonLock;

/// So long folders are listed, and so long a file system that does not answer is waited for.
const LIST: Duration = Duration::from_secs(30);
const SILENCE: Duration = Duration::from_secs(5);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Make one signed call to the gateway; it takes no slot
    #[arg(long)]
    online: bool,
    /// Only what a reload needs: the configuration file and the secrets
    #[arg(long, conflicts_with_all = ["online", "alerts"])]
    config_only: bool,
    /// Send a test message through every channel of alerts
    #[arg(long)]
    alerts: bool,
}

/// The outcome of one check: what is so, or what is wrong and what to do.
type Finding = Result<String, String>;

pub(super) async fn check(path: &Path, args: &Args) -> anyhow::Result<ExitCode> {
    let mut findings = Findings::default();
    match Settings::load(path) {
        Ok(settings) => {
            findings.add("config", Ok(path.display().to_string()));
            match args.config_only {
                true => reloadable(&mut findings, &settings),
                false => offline(&mut findings, &settings).await,
            }
            if args.online {
                findings.add("gateway", online(&settings).await);
            }
            if args.alerts {
                alerts::try_out(&mut findings, &settings).await;
            }
        }
        Err(problems) => {
            problems.0.iter().for_each(|problem| findings.add("config", Err(lang::problem(problem))));
        }
    }
    Ok(if findings.failures == 0 { ExitCode::SUCCESS } else { ExitCode::from(NO) })
}

/// An error with all its causes, on one line.
fn whole(error: impl std::error::Error + 'static) -> String {
    lang::error(&error)
}

#[derive(Default)]
struct Findings {
    failures: usize,
}

impl Findings {
    fn add(&mut self, what: &str, finding: Finding) {
        match finding {
            Ok(text) => {
                anstream::println!("{}  {what:<9} {text}", paint(AnsiColor::Green.on_default(), "ok  "));
            }
            Err(text) => {
                self.failures += 1;
                anstream::println!("{}  {what:<9} {text}", paint(AnsiColor::Red.on_default(), "FAIL"));
            }
        }
    }
}

/// What is neither right nor wrong.
fn note(what: &str, text: &str) {
    anstream::println!("{}  {what:<9} {text}", paint(FAINT, "note"));
}

/// What works, and should not stay so.
fn warn(what: &str, text: &str) {
    anstream::println!("{}  {what:<9} {text}", paint(AnsiColor::Yellow.on_default(), "WARN"));
}

/// Without it a reload is refused.
fn reloadable(findings: &mut Findings, settings: &Settings) {
    secrets(findings, settings);
    page(findings, settings);
    network(findings, settings);
}

/// What is wrong with certificates and proxies keeps the daemon from its start.
fn network(findings: &mut Findings, settings: &Settings) {
    if let Err(error) = Clients::new(settings) {
        findings.add("network", Err(whole(error)));
    }
}

async fn offline(findings: &mut Findings, settings: &Settings) {
    secrets(findings, settings);
    if let Some(text) = robot::wrong_kind(settings) {
        warn("alerts", &text);
    }
    encryption(settings);
    page(findings, settings);
    address(findings, settings).await;
    folders(findings, settings).await;
    findings.add("inotify", inotify());
    findings.add("database", database::database(settings).await);
    state::state(findings, settings).await;
    findings.add("clock", clock());
    network(findings, settings);
}

/// The operator's token; a generated one is always good.
fn page(findings: &mut Findings, settings: &Settings) {
    let (Some(address), TokenSource::File(path)) = (settings.http.listen, &settings.http.token) else {
        return;
    };
    match settings.http.token.load() {
        Err(TokenError::Secret(SecretError::Unreadable { source, .. }))
            if source.kind() == ErrorKindOfIo::PermissionDenied =>
        {
            note(
                "page",
                &tr!(
                    "{} is for the service alone; root can check it",
                    "{} 只有服务能读；以 root 运行可检查",
                    path.display()
                ),
            );
        }
        token => findings.add("page", token.map(|_| format!("http://{address}")).map_err(whole)),
    }
}

/// Can the page be served? While a daemon runs, `status` says so.
async fn address(findings: &mut Findings, settings: &Settings) {
    let Some(address) = settings.http.listen else { return };
    if is_at_work(&settings.database.path).await {
        return;
    }
    match TcpListener::bind(address) {
        Err(error) if [ErrorKindOfIo::AddrInUse, ErrorKindOfIo::AddrNotAvailable].contains(&error.kind()) => {
            let why = lang::detail(&error.to_string());
            findings.add("page", Err(tr!(
                "http.listen = \"{address}\" cannot be used: {why}; choose another port, or stop what uses it",
                "http.listen = \"{address}\" 无法使用：{why}；请换一个端口，或停掉占用它的程序"
            )));
        }
        _ => {}
    }
}

/// Does a daemon work with the database?
async fn is_at_work(database: &Path) -> bool {
    let path = database.to_owned();
    service::as_service(database, move || DaemonLock::is_held(&path)).await.unwrap_or_default()
}

/// Is each there, fit for use, and closed to others?
fn secrets(findings: &mut Findings, settings: &Settings) {
    let (gateway, alerts) = (&settings.gateway, &settings.alerts);
    let others = [&gateway.iot_token, &alerts.webhook, &alerts.secret].into_iter().flatten();
    for source in std::iter::once(&gateway.secret).chain(others) {
        match source.load() {
            Err(SecretError::Unreadable { path, source, .. })
                if source.kind() == ErrorKindOfIo::PermissionDenied =>
            {
                note(
                    "secret",
                    &tr!(
                        "{path} is for the service alone; root can check it",
                        "{path} 只有服务能读；以 root 运行可检查"
                    ),
                );
            }
            secret => {
                let good = |_| tr!("{} is there", "{} 已就绪", source.key);
                findings.add("secret", secret.map(good).map_err(whole));
            }
        }
    }
}

/// The sandbox on this machine speaks HTTP; the real gateway does not.
fn encryption(settings: &Settings) {
    let url = &settings.gateway.url;
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    let local = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    if url.scheme() == "http" && !local {
        warn(
            "gateway",
            &tr!(
                "gateway.url = \"http://{host}\" is not encrypted: anyone on the network path can read the credentials of OSS; use https",
                "gateway.url = \"http://{host}\" 未加密：网络路径上的任何人都能读到 OSS 凭证；请使用 https"
            ),
        );
    }
}

async fn folders(findings: &mut Findings, settings: &Settings) {
    let (settings, database, root) =
        (settings.clone(), &settings.database.path, settings.watch.root.display().to_string());
    let ours = service::can_answer(database);
    let deadline = Instant::now() + LIST;
    let list = service::as_service(database, move || Backlog::list(&settings, None, deadline));
    let backlog = match tokio::time::timeout(LIST + SILENCE, list).await {
        Ok(Some(backlog)) => backlog,
        Ok(None) => {
            let text = tr!("this user cannot ask as the service's", "无法以服务用户的身份检查");
            return findings.add("folders", Err(text));
        }
        Err(_) => {
            let text = tr!("a file system of theirs does not answer", "所在的文件系统没有响应");
            return findings.add("folders", Err(tr!("{root}: {text}", "{root}：{text}")));
        }
    };
    if backlog.folders > 0 || backlog.missing.is_empty() {
        let found = brands(backlog.folders);
        findings.add("folders", Ok(tr!("{root}: {found}", "{root}：{found}")));
    }
    for path in &backlog.missing {
        let path = shown(path.as_os_str());
        let text = tr!(
            "{path} is not there; make the folder, or correct watch.root or the path of its [[brand]]",
            "{path} 不存在；请创建目录，或修改 watch.root 或 [[brand]] 的 path"
        );
        findings.add("folders", Err(text));
    }
    for (path, why) in &backlog.unread {
        let (path, why) = (shown(path.as_os_str()), lang::detail(why));
        match ours {
            true => findings.add(
                "folders",
                Err(tr!(
                    "{path} cannot be read: {why}; give the service's user access",
                    "{path} 无法读取：{why}；请给服务用户授权"
                )),
            ),
            false => note(
                "folders",
                &tr!(
                    "{path} cannot be read: {why}; whether the service can read it, root can check",
                    "{path} 无法读取：{why}；服务能否读取，请以 root 运行检查"
                ),
            ),
        }
    }
    for (path, why) in &backlog.unrecognized {
        let path = visible(&path.to_string_lossy());
        let why = lang::detail(why);
        note("folders", &tr!("left alone: {path}: {why}", "未处理：{path}：{why}"));
    }
}

fn brands(count: usize) -> String {
    match count {
        0 => {
            tr!("no brand folder yet; make one as in OWNBRAND/1001", "还没有品牌目录；例如新建 OWNBRAND/1001")
        }
        1 => tr!("1 brand folder", "1 个品牌目录"),
        count => tr!("{count} brand folders", "{count} 个品牌目录"),
    }
}

/// How many folders can be watched, from `inotify(7)`.
fn inotify() -> Finding {
    let limit = |name: &str| std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}"));
    match (limit("max_user_watches"), limit("max_user_instances")) {
        (Ok(watches), Ok(instances)) => match intake::inotify_available() {
            Ok(()) => Ok(tr!(
                "{} watches and {} instances a user",
                "每个用户 {} 个监视、{} 个实例",
                watches.trim(),
                instances.trim()
            )),
            Err(error) => {
                let why = lang::detail(&error);
                Err(tr!("{why}; folders are polled", "{why}；目录改为轮询"))
            }
        },
        _ => Err(tr!(
            "its limits cannot be read; folders are polled if it is not available",
            "读不到它的限额；不可用时目录改为轮询"
        )),
    }
}

/// Signatures are refused when the clock is off by more than 15 minutes; offline, only absurd times are noticed.
fn clock() -> Finding {
    let now = SystemClock.now();
    match now.as_second() > 1_735_689_600 {
        true => Ok(format!("{now:.0}")),
        false => Err(tr!(
            "{now:.0} cannot be true; set the clock (NTP), or no signature is accepted",
            "{now:.0} 不可能正确；请校准时钟（NTP），否则签名都会被拒绝"
        )),
    }
}

/// The gateway must accept the signature and then refuse the empty parameters.
async fn online(settings: &Settings) -> Finding {
    let clouds = Clouds::new(settings, Arc::new(SystemClock)).map_err(whole)?;
    let host = settings.gateway.url.host_str().unwrap_or_default();
    let answer = clouds.gateway.probe().await;
    let clock = match clouds.clock.observed() {
        -60..=60 => String::new(),
        ahead => {
            let direction = if ahead > 0 { tr!("slow", "慢") } else { tr!("fast", "快") };
            let seconds = ahead.abs();
            tr!(
                "; this machine's clock is {seconds} s {direction}: set it (NTP)",
                "；本机时钟{direction}了 {seconds} 秒，请校准（NTP）"
            )
        }
    };
    match answer {
        Err(error) if error.failure.kind != ErrorKind::GatewayRejected => Err(tr!(
            "{host}: {}. {}{clock}",
            "{host}：{}。{}{clock}",
            lang::failure(&error.failure),
            lang::advice(error.failure.kind)
        )),
        // refused for its empty parameters, which comes after the signature
        Ok(_) | Err(_) => Ok(tr!("{host} accepts the signature{clock}", "{host} 接受签名{clock}")),
    }
}
