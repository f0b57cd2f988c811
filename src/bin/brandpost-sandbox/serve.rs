//! `brandpost-sandbox serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use brandpost::sim::{Sandbox, SandboxOptions, Scenario};
use tokio::signal::unix::{SignalKind, signal};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The address, on this machine
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9610")]
    listen: SocketAddr,
    /// Where objects are kept
    #[arg(long, value_name = "DIR", default_value = "sandbox")]
    dir: PathBuf,
    /// A JSON file of faults to begin with; docs/sandbox.md describes them
    #[arg(long, value_name = "FILE")]
    scenario: Option<PathBuf>,
}

pub(crate) async fn serve(args: Args) -> anyhow::Result<()> {
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
