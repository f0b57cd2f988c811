"""Asks `brandpost inspect` for its verdicts, and measures the memory that it takes."""

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

FILES_AT_ONCE = 200
SECONDS_A_CALL = 600


@dataclass(frozen=True)
class Verdict:
    ok: bool | None  # None: the program said nothing of the file
    kind: str
    message: str


class Product:
    """The program. It runs in a folder of its own, so that no configuration lies there by chance."""

    def __init__(self, binary, folder):
        self.binary, self.folder = str(binary), folder
        self.accidents = []  # panics and calls that told nothing

    def verdicts(self, paths):
        """{path: verdict} of every file. A file of which a batch tells nothing is asked for alone."""
        told, paths = {}, list(paths)
        for at in range(0, len(paths), FILES_AT_ONCE):
            told |= self.inspect(paths[at : at + FILES_AT_ONCE])
        for path in paths:
            if path not in told:
                told |= self.inspect([path]) or {path: Verdict(None, "no verdict", self.accidents[-1])}
        return told

    def inspect(self, paths):
        command = [self.binary, "inspect", "--json", *map(str, paths)]
        try:
            done = subprocess.run(command, cwd=self.folder, stdin=subprocess.DEVNULL, capture_output=True,
                                  timeout=SECONDS_A_CALL)
        except subprocess.TimeoutExpired:
            self.accidents.append(f"{paths[0].name} and others: no verdict in {SECONDS_A_CALL} s")
            return {}
        said = done.stderr.decode("utf-8", "replace")
        told = {Path(item["file"]): verdict_of(item) for item in json_items(done.stdout.decode("utf-8", "replace"))}
        if "panicked" in said or not told:
            first_line = next(iter(said.strip().splitlines()), "nothing on standard error")
            self.accidents.append(f"{paths[0].name} and others: exit code {done.returncode}: {first_line}")
        return told


def json_items(text):
    """The objects of a JSON array, or of one object a line; a line that is neither is passed over."""
    try:
        whole = json.loads(text)
        return whole if isinstance(whole, list) else [whole]
    except ValueError:
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def verdict_of(item):
    return Verdict(item["ok"], item.get("error_kind") or "", item.get("error_message") or "")


def peak_memory(product, groups):
    """[MiB] of one call for each group of files, by GNU time. A bare start of the program is part of it."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(lambda group: peak_of_call(product, group), groups))


def peak_of_call(product, paths):
    command = ["/usr/bin/time", "--format=peak %M", product.binary, "inspect", "--json", *map(str, paths)]
    try:
        done = subprocess.run(command, cwd=product.folder, stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS_A_CALL)
    except subprocess.TimeoutExpired:
        return float("inf")
    kibibytes = next(line for line in done.stderr.decode().splitlines() if line.startswith("peak "))
    return int(kibibytes.split()[1]) / 1024


def ten_copies(path, scratch):
    """Ten files of the same content, as if ten people had sent them at once."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    copies = [scratch / f"{number}-{path.name}" for number in range(10)]
    for copy in copies:
        shutil.copyfile(path, copy)
        os.utime(copy, (946684800, 946684800))
    return copies
