//! The package's scripts, as they are, among files whose names the service's user chose.

use std::path::Path;
use std::process::Command;

/// Runs a script of the package as root, in a folder with a tree that belongs to root, `victim`. `/etc` and `/var/lib`
/// are others there: `brandpost` is a user, whose state folder `setup` fills.
fn run(script: &str, arguments: &str, setup: &str, checks: &str) {
    if !rustix::process::geteuid().is_root() {
        eprintln!("\n***** SKIPPED, because it needs root: packaging::{script} *****\n");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/deb").join(script);
    let text = format!(
        r#"cp -a /etc "$1/etc"; mkdir -p "$1/lib/brandpost/backups" "$1/bin" "$1/work/victim/deep" "$1/etc/brandpost"
        mount --bind "$1/etc" /etc; mount --bind "$1/lib" /var/lib
        echo 'brandpost:x:47110:47110::/var/lib/brandpost:/usr/sbin/nologin' >>/etc/passwd
        echo 'brandpost:x:47110:' >>/etc/group
        touch /etc/brandpost/config.toml "$1/work/victim/deep/file"
        # it stands for the program: `brandpost --config FILE backup FILE`
        printf '#!/bin/sh\n[ "$(id -u)" = 47110 ] && echo copy >"$4"\n' >"$1/bin/brandpost"
        chmod -R a+rX "$1"; chmod 755 "$1/bin/brandpost"
        chown -R brandpost:brandpost /var/lib/brandpost
        cd "$1/work"
        {setup}
        PATH="$1/bin:$PATH" sh "$2" {arguments}
        test -e victim/deep/file
        {checks}"#
    );
    let mut shell = Command::new("unshare");
    shell
        .args(["--mount", "--propagation", "private", "sh", "-euc", &text, "sh"])
        .arg(folder.path())
        .arg(script);
    let output = shell.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("unshare: unshare failed") {
        eprintln!("\n***** SKIPPED, because nothing can be mounted here: {said} *****\n");
        return;
    }
    assert!(output.status.success(), "{}{said}", String::from_utf8_lossy(&output.stdout));
}

/// What the service's user leaves there. `rm` would take the words of the first one for options and names.
const HOSTILE: &str = r#"
        as_service() { runuser -u brandpost -- "$@"; }
        cd /var/lib/brandpost/backups
        as_service touch -d '3 days ago' 'brandpost-1 -r victim x.db' "$(printf 'brandpost-2\nvictim\n.db')" \
            'brandpost-3"quoted.db' "brandpost-4'quoted.db" 'brandpost-$(touch victim.gone).db' 'brandpost-*.db'
        as_service ln -s "$1/work/victim" brandpost-link.db
        as_service ln -s "$1/work/victim" ../link
        as_service touch -d '2 days ago' brandpost-kept-1.db; as_service touch -d '1 day ago' brandpost-kept-2.db
        cd "$1/work"
"#;

#[test]
fn preinst_keeps_the_newest_copies_and_touches_nothing_else() {
    run(
        "preinst",
        "upgrade 1.0",
        HOSTILE,
        r#"cd /var/lib/brandpost/backups
        test "$(find . -type f | wc -l)" = 3
        test -e brandpost-kept-1.db; test -e brandpost-kept-2.db
        test "$(find . -type f -name 'brandpost-1.0-*.db' -user brandpost | wc -l)" = 1"#,
    );
}

#[test]
fn postrm_takes_away_the_state_folder_and_nothing_else() {
    run("postrm", "purge", HOSTILE, "test ! -e /var/lib/brandpost");
}

/// Installed from root's terminal. Who has that as his own can type commands there; who has a descriptor of it can read
/// what root types.
const TERMINAL: &str = r#"
        export PATH="$1/bin:$PATH"
        sh() { script --quiet --return --command "/bin/sh '$1' '$2' '$3'" /dev/null; }
        cat >"$1/bin/brandpost" <<'SPY'
#!/bin/sh
seen=$(cut -d' ' -f7 /proc/$$/stat; readlink /proc/$$/fd/0 /proc/$$/fd/1 /proc/$$/fd/2)
echo "$seen" >/var/lib/brandpost/seen
printf 'the program speaks\033[31m to root\n' >&2
echo copy >"$4"
SPY
"#;

#[test]
fn preinst_leaves_root_s_terminal_to_root() {
    run(
        "preinst",
        "upgrade 1.0 >said",
        TERMINAL,
        r#"test "$(head -n 1 /var/lib/brandpost/seen)" = 0
        if grep -E 'pts|tty|ptmx' /var/lib/brandpost/seen; then exit 1; fi
        grep -q 'the program speaks\[31m to root' said"#,
    );
}

#[test]
fn preinst_is_not_held_up_by_what_the_service_s_user_says() {
    run(
        "preinst",
        "upgrade 1.0 2>said",
        r#"printf '#!/bin/sh\nwhile :; do echo nonsense; done\n' >"$1/bin/brandpost""#,
        r#"test "$(wc -c <said)" -lt 70000; grep -q "no database file of .* to back up" said"#,
    );
}

#[test]
fn preinst_upgrades_where_the_database_is_on_a_server() {
    run(
        "preinst",
        "upgrade 1.0 2>said",
        r#"printf '#!/bin/sh\necho "run pg_dump" >&2; exit 1\n' >"$1/bin/brandpost""#,
        r#"grep -q "run pg_dump" said; grep -q "one on a server is not backed up" said"#,
    );
}

#[test]
fn the_unit_of_instances_is_the_first_one_s_with_their_paths() {
    let read = |name: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)).unwrap()
    };
    let mut unit = read("brandpost.service");
    for (own, instance) in [
        ("to Alibaba Cloud OSS\n", "to Alibaba Cloud OSS (%i)\n"),
        ("/etc/brandpost/app_secret", "/etc/brandpost/%i/app_secret"),
        ("/etc/brandpost/config.toml", "/etc/brandpost/%i/config.toml"),
        ("Directory=brandpost\n", "Directory=brandpost-%i\n"),
        ("/var/lib/brandpost", "/var/lib/brandpost-%i"),
        ("/run/brandpost", "/run/brandpost-%i"),
    ] {
        assert!(unit.contains(own), "{own}");
        unit = unit.replace(own, instance);
    }
    assert_eq!(read("brandpost@.service"), unit);
}

#[test]
fn postrm_takes_away_the_instances_too() {
    run(
        "postrm",
        "purge",
        r#"mkdir -p /etc/brandpost/acme /etc/brandpost/certs /var/lib/brandpost-acme "$1/work/victim"
        touch /etc/brandpost/acme/config.toml /etc/brandpost/acme/app_secret /var/lib/brandpost-acme/brandpost.db
        touch /etc/brandpost/certs/ca.pem
        mkdir '/etc/brandpost/x y'; touch '/etc/brandpost/x y/config.toml'"#,
        "test ! -e /etc/brandpost/acme; test ! -e /var/lib/brandpost-acme
        test -e /etc/brandpost/certs/ca.pem; test -e '/etc/brandpost/x y/config.toml'",
    );
}
