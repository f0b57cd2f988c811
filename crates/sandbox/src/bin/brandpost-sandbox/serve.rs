//! `brandpost-sandbox serve`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use sandbox::{Sandbox, SandboxOptions, Scenario};
use tokio::signal::unix::{SignalKind, signal};

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
        bail!(
            "--listen {listen} lets other machines in, and the sandbox keeps what anybody sends: use a loopback address \
             such as 127.0.0.1:{}, or say --allow-remote",
            listen.port()
        );
    }
    let scenario = args.scenario.map(|path| {
        Scenario::load(&path).with_context(|| format!("the scenario {} cannot be used", path.display()))
    });
    let scenario = scenario.transpose()?;
    let options =
        SandboxOptions { listen: args.listen, dir: Some(args.dir.clone()), ..SandboxOptions::default() };
    let (key, secret, app, host) =
        (options.app_key.clone(), options.app_secret.clone(), options.app_id.clone(), options.bucket_host());
    let started = Sandbox::start(options).await;
    let mut sandbox =
        started.with_context(|| format!("{} cannot be used; choose another --listen", args.listen))?;
    if let Some(scenario) = scenario {
        sandbox.scenario(scenario);
    }
    let file = args.dir.join("app_secret");
    write_private(&file, &secret).with_context(|| format!("{} cannot be written", file.display()))?;
    let address = sandbox.addr();
    anstream::println!("gateway  http://{address}   app_id {app}, app_key {key}, app_secret {secret}");
    anstream::println!("OSS      http://{host}, resolved to {address} by network.resolve");
    anstream::println!("objects  {}", args.dir.join("iotx-industry").display());
    anstream::println!("control  http://{address}/_sandbox/requests  …/objects  …/faults");
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
