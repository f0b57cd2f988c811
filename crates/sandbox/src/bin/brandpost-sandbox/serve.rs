//! `brandpost-sandbox serve`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sandbox::{Sandbox, SandboxOptions, Scenario};
use tokio::signal::unix::{SignalKind, signal};

use crate::lang::tr;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address, on this machine
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9610")]
    listen: SocketAddr,
    /// Listen on an address that other machines reach, too: anyone there can fill the disk
    #[arg(long)]
    allow_remote: bool,
    /// Where objects are kept, and a file with the app secret that is accepted
    #[arg(long, value_name = "DIR", default_value = "sandbox")]
    dir: PathBuf,
    /// A JSON file of faults to begin with; docs/sandbox.md describes them
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
    let listen = args.listen;
    if !listen.ip().is_loopback() && !args.allow_remote {
        let port = listen.port();
        bail!(tr!(
            "--listen {listen} lets other machines in, and the sandbox keeps what anybody sends: use a loopback address \
             such as 127.0.0.1:{port}, or say --allow-remote",
            "--listen {listen} 会让其他机器访问，而沙箱会保存任何人发来的内容：请改用本机地址，例如 127.0.0.1:{port}，\
             或加上 --allow-remote"
        ));
    }
    let scenario = args.scenario.map(|path| {
        Scenario::load(&path)
            .with_context(|| tr!("the scenario {} cannot be used", "故障文件 {} 无法使用", path.display()))
    });
    let scenario = scenario.transpose()?;
    let options =
        SandboxOptions { listen: args.listen, dir: Some(args.dir.clone()), ..SandboxOptions::default() };
    let (key, secret, app, host) =
        (options.app_key.clone(), options.app_secret.clone(), options.app_id.clone(), options.bucket_host());
    let started = Sandbox::start(options).await;
    let mut sandbox = started.with_context(|| {
        tr!("{listen} cannot be used; choose another --listen", "{listen} 无法使用；请换一个 --listen")
    })?;
    if let Some(scenario) = scenario {
        sandbox.scenario(scenario);
    }
    let file = args.dir.join("app_secret");
    write_private(&file, &secret)
        .with_context(|| tr!("{} cannot be written", "无法写入 {}", file.display()))?;
    let address = sandbox.addr();
    let objects = args.dir.join("iotx-industry");
    anstream::println!(
        "{}",
        tr!(
            "gateway  http://{address}   app_id {app}, app_key {key}, app_secret {secret}\n\
             OSS      http://{host}, resolved to {address} by network.resolve\n\
             objects  {}\n\
             control  http://{address}/_sandbox/requests  …/objects  …/faults",
            "网关     http://{address}   app_id {app}，app_key {key}，app_secret {secret}\n\
             OSS      http://{host}，由 network.resolve 指到 {address}\n\
             对象     {}\n\
             控制     http://{address}/_sandbox/requests  …/objects  …/faults",
            objects.display()
        )
    );
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        result = sandbox.wait() => result.context("the sandbox ended"),
        _ = term.recv() => Ok(()),
        _ = int.recv() => Ok(()),
    }
}

/// Writes a file that no other user can read: the daemon takes no secret from another one.
pub(crate) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    writeln!(OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?, "{text}")
}
