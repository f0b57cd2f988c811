//! The program `brandpost-sandbox`.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_brandpost-sandbox"))
}

#[test]
fn a_sandbox_for_other_machines_must_be_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = program();
    sandbox.args(["serve", "--listen", "0.0.0.0:0", "--dir"]).arg(folder.path());
    let output = sandbox.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let err = String::from_utf8(output.stderr).unwrap();
    assert!(err.contains("lets other machines in") && err.contains("--allow-remote"), "{err}");
    let mut allowed = sandbox.arg("--allow-remote").stdout(Stdio::piped()).spawn().unwrap();
    let mut first = String::new();
    BufReader::new(allowed.stdout.take().unwrap()).read_line(&mut first).unwrap();
    allowed.kill().unwrap();
    allowed.wait().unwrap();
    assert!(first.starts_with("gateway  http://0.0.0.0:"), "{first}");
    let secret = fs::metadata(folder.path().join("app_secret")).unwrap();
    assert_eq!(secret.permissions().mode() & 0o777, 0o600);
}

/// The commands and their options, as its help names them.
fn commands() -> BTreeSet<String> {
    let help = |arguments: &[&str]| {
        let output = program().args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let mut found = BTreeSet::new();
    let all = help(&["--help"]);
    let listed = all.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for name in
        listed.lines().filter_map(|line| line.split_whitespace().next()).filter(|name| *name != "help")
    {
        found.insert(format!("brandpost-sandbox {name}"));
        let text = help(&[name, "--help"]);
        let options = text.lines().filter_map(|line| line.trim_start().strip_prefix("--")?.split(' ').next());
        found.extend(options.map(|option| format!("brandpost-sandbox {name} --{option}")));
    }
    found
}

#[test]
fn the_reference_names_every_command_and_option() {
    let commands = commands();
    assert!(commands.contains("brandpost-sandbox serve --listen"), "{commands:?}");
    for name in ["reference.md", "reference.zh-CN.md"] {
        let text =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name)).unwrap();
        let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
        let named =
            rows.map(|(name, _)| name.to_owned()).filter(|name| name.starts_with("brandpost-sandbox "));
        assert_eq!(named.collect::<BTreeSet<_>>(), commands, "docs/{name}");
    }
}
