//! `brandpost page`.

use std::fs;
use std::io::IsTerminal;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::lang::tr;
use super::style::{FAINT, paint};
use crate::config::Settings;
use crate::domain::notice::NoticeName;
use crate::ledger::DaemonLock;
use crate::sockets;

/// The address goes to stdout, alone; what a person may want to know beside it, to stderr.
pub(super) async fn page(settings: &Settings) -> anyhow::Result<ExitCode> {
    let listen = settings.http.listen.with_context(|| {
        tr!(
            "there is no page: http.listen is not set; set it to \"127.0.0.1:9600\", and reload the service",
            "没有网页：http.listen 未设置；请设为 \"127.0.0.1:9600\"，然后重新加载服务"
        )
    })?;
    if listen.port() == 0 {
        bail!(tr!(
            "http.listen leaves the port to chance; the log says which one it is",
            "http.listen 没有指定端口；实际端口见日志"
        ));
    }
    let token = settings.http.token.load()?;
    if !DaemonLock::is_held(&settings.database.path) {
        bail!(tr!(
            "no daemon runs now, so there is no page; who listens on {listen} meanwhile must not get the token",
            "守护进程没有运行，网页打不开；此时监听 {listen} 的可能是别人，口令不能给它"
        ));
    }
    let notices = super::report(settings).await?.notices().await?;
    if let Some(unserved) = notices.into_iter().find(|notice| notice.name == NoticeName::Unserved) {
        bail!(tr!(
            "{}; who listens on {listen} meanwhile must not get the token",
            "{}；此时监听 {listen} 的是别的程序，口令不能给它",
            super::lang::detail(&unserved.message)
        ));
    }
    // with a server there is no file; the folder in which it would be is the service's too
    let place = match settings.database.server {
        Some(_) => settings.database.path.parent().unwrap_or(Path::new("/")),
        None => &settings.database.path,
    };
    let owner =
        fs::metadata(place).with_context(|| format!("cannot tell whose {} is", place.display()))?.uid();
    if !sockets::is_served_by(at(listen), owner) {
        bail!(tr!(
            "the service does not listen on {listen} (its log says why); who does must not get the token",
            "服务没有监听 {listen}（原因见日志）；监听它的可能是别人，口令不能给它"
        ));
    }
    anstream::println!("http://{}/#token={}", at(listen), token.expose());
    if std::io::stderr().is_terminal() {
        anstream::eprintln!("{}", paint(FAINT, &hint(listen)));
    }
    Ok(ExitCode::SUCCESS)
}

/// As a browser on this machine finds it.
fn at(listen: SocketAddr) -> SocketAddr {
    match listen.ip() {
        IpAddr::V4(any) if any.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], listen.port())),
        IpAddr::V6(any) if any.is_unspecified() => {
            SocketAddr::from(([0, 0, 0, 0, 0, 0, 0, 1], listen.port()))
        }
        _ => listen,
    }
}

fn hint(listen: SocketAddr) -> String {
    let (here, port) = (at(listen), listen.port());
    match listen.ip() {
        ip if ip.is_loopback() => tr!(
            "From another computer, first: ssh -L {port}:{here} THIS-SERVER. Anyone with this address can do all \
             that the page can.",
            "从别的电脑打开，先执行：ssh -L {port}:{here} 这台服务器。拿到这个地址的人可以进行网页上的全部操作。"
        ),
        ip if ip.is_unspecified() => tr!(
            "From another computer, put this server's name in place of {}. Anyone with this address can do all that \
             the page can.",
            "从别的电脑打开，请把 {} 换成这台服务器的地址。拿到这个地址的人可以进行网页上的全部操作。",
            here.ip()
        ),
        _ => tr!(
            "Anyone with this address can do all that the page can.",
            "拿到这个地址的人可以进行网页上的全部操作。"
        ),
    }
}
