#!/usr/bin/env python3
"""A hundred thousand small pictures in ten thousand brands: how long until all have their row, how long a restart takes
that finds all of them as they were, and how much memory.

    just bench-scale [BRANDS]
"""
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import built, configured, timed

BRANDS = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
EACH = 10


def picture(number):
    """A GIF of one pixel, with a comment that makes it like no other."""
    text = f"{number:08}".encode()
    head = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    return head + b"\x21\xfe" + bytes([len(text)]) + text + b"\x00" + b"\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b"


def memory(pid):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith(("VmRSS", "VmHWM"))}


def cpu(pid):
    """Seconds, to the nanosecond: the clock of a process, as clock_getcpuclockid(3) makes its number."""
    return time.clock_gettime(~pid << 3 | 2)


def idle(daemon, what):
    """What a daemon that has nothing to do takes; ends it."""
    time.sleep(5)
    before = cpu(daemon.pid)
    time.sleep(20)
    print(f"{what}: {(cpu(daemon.pid) - before) * 5:.2f} % of a core, {memory(daemon.pid)['VmRSS']:.0f} MB")
    daemon.send_signal(signal.SIGTERM)
    daemon.wait()


def main():
    brandpost, _, _ = built()
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        folder = Path(folder)
        for number in range(BRANDS * EACH):
            brand = folder / "inbox/OWNBRAND" / str(1 + number // EACH)
            if number % EACH == 0:
                brand.mkdir(parents=True)
            (brand / f"{number}.gif").write_bytes(picture(number))
        state = configured(folder, "127.0.0.1:9", "127.0.0.1:9")
        config = state / "config.toml"
        config.write_text(config.read_text().replace("{check}", "structure"))
        command = [brandpost, "--config", str(config)]
        began = time.monotonic()
        # nobody is at the gateway's address: nothing is sent
        daemon = subprocess.Popen(command + ["run"], stderr=subprocess.DEVNULL)
        while not (state / "brandpost.db-wal").exists():
            time.sleep(0.01)
        time.sleep(0.2)
        database = sqlite3.connect(f"file:{state}/brandpost.db?mode=ro", uri=True)
        while database.execute("select count(*) from upload").fetchone()[0] < BRANDS * EACH:
            time.sleep(0.05)
        print(f"{BRANDS * EACH} files in {BRANDS} brands: all have their row after {time.monotonic() - began:.1f} s (bound 20), "
              f"{memory(daemon.pid)['VmHWM']:.0f} MB at most, {cpu(daemon.pid):.1f} s of CPU")
        idle(daemon, "idle, the gateway away")
        database.close()
        # as if all were sent
        with sqlite3.connect(state / "brandpost.db") as table:
            table.execute("update upload set state = 'uploaded', uploaded_at = updated_at, next_attempt_at = null, turn = null, sent = 1, error_kind = null, held = 0, claimed_at = null, claimed_turn = null, lease_until = null")
            table.execute("delete from notice")
        table.close()
        runs = [timed(command + ["run", "--once"], dict(os.environ)) for _ in range(3)]
        wall, used, most = (min(values) for values in zip(*runs))
        print(f"restart with these, until all are looked at: {wall:.2f} s (bound 1.0), {used:.2f} s of CPU, {most:.0f} MB at most (bound 40)")
        daemon = subprocess.Popen(command + ["run"], stderr=subprocess.DEVNULL)
        time.sleep(3 * wall)
        idle(daemon, "idle after it (bound 0.0 %)")


if __name__ == "__main__":
    main()
