"""What libjpeg, libpng, pngcheck, gifsicle and Pillow say of a file. Answers are kept by the file's SHA-256."""

import hashlib
import json
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

SECONDS = 60
# More memory than this no reference gets: some test files claim gigapixels.
LIMITED = ("prlimit", f"--as={2 << 30}")
# Talk of the tools themselves, that says nothing of the file.
CHATTER = ("setjmp returns error condition", "non-square pixels", "fewer significant bits", "too many colors, using",
           "You may want to try", "trailing garbage")
# A reference that ran out of memory or time has said nothing of the file.
NO_ANSWER = re.compile(r"[Mm]emory|allocat|not read in|the reader ended")
PILLOW_READER = Path(__file__).with_name("pillow_read.py")

# libjpeg's words (jerror.h), and the short names that the report uses.
LIBJPEG = {
    "extraneous": r"extraneous bytes? before marker",
    "early-marker": r"premature end of data segment",
    "bad-code": r"bad Huffman code|bad arithmetic code",
    "no-eoi": r"Premature end of JPEG file",
    "bad-restart": r"found marker 0x\w+ instead of RST",
    "bad-progression": r"Inconsistent progression sequence",
    "sos-parameters": r"Invalid SOS parameters for sequential",
    "jfif-revision": r"unknown JFIF revision",
    "adobe-transform": r"Unknown Adobe color transform",
    "icc": r"bad ICC marker",
    "too-much": r"too many scanlines",
}
LIBJPEG_PATTERNS = {name: re.compile(pattern) for name, pattern in LIBJPEG.items()}


class References:
    """Asks the reference readers; what was asked once is answered from `memory` (a JSON file)."""

    def __init__(self, memory, pillow_python):
        self.memory = Path(memory)
        self.pillow_python = pillow_python
        self.versions = versions(pillow_python)
        self.known = self.remembered()

    def remembered(self):
        try:
            kept = json.loads(self.memory.read_text())
        except (OSError, ValueError):
            return {}
        return kept["answers"] if kept.get("versions") == self.versions else {}

    def save(self):
        text = json.dumps({"versions": self.versions, "answers": self.known}, indent=0, sort_keys=True)
        self.memory.write_text(text)

    def ask(self, files):
        """{path: answer} for [(path, format)]. Each content is read once, also over several runs."""
        digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path, _ in files}
        new = {}
        for path, kind in files:
            if digests[path] not in self.known:
                new.setdefault(digests[path], (path, kind))
        self.learn(new)
        return {path: self.known[digests[path]] for path, _ in files}

    def learn(self, new):
        pillow = pillow_answers([path for path, _ in new.values()], self.pillow_python)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            tools = pool.map(lambda item: TOOLS[item[1]](item[0]), new.values())
            for (digest, (path, _)), answer in zip(new.items(), tools):
                answer["pillow"] = pillow[path]
                self.known[digest] = answer
        if new:
            self.save()


def versions(pillow_python):
    """What the answers depend on: the versions of the tools, and the way in which they are asked."""
    pillow = [pillow_python, "-c", "import PIL; from PIL import features;"
              "print(PIL.__version__, features.version('jpg'), features.version('zlib'))"]
    asked = {"djpeg": ["djpeg", "-version"], "pngcheck": ["pngcheck", "-h"], "gifsicle": ["gifsicle", "--version"],
             "netpbm": ["pngtopnm", "--version"], "pillow": pillow}
    told = {name: run(command) for name, command in asked.items()}
    lines = {name: (answer["out"] + answer["err"]).strip().split("\n")[0] for name, answer in told.items()}
    way = Path(__file__).read_bytes() + PILLOW_READER.read_bytes()
    return lines | {"asked as by": hashlib.sha256(way).hexdigest()[:12]}


def run(command):
    """The exit code (None after a time-out) and both outputs of a command."""
    try:
        done = subprocess.run([*LIMITED, *command], stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"code": None, "out": "", "err": f"not read in {SECONDS} s"}
    return {"code": done.returncode, "out": text(done.stdout), "err": text(done.stderr)}


def text(output):
    return output.decode("utf-8", "replace")


def ask_jpeg(path):
    """djpeg: exit code 0 read, 2 with warnings, 1 not at all. It tells all warnings only at the third level of talk."""
    told = run(["djpeg", "-verbose", "-verbose", "-verbose", "-dct", "fast", "-nosmooth", "-outfile", "/dev/null", path])
    lines = told["err"].splitlines()
    kinds = {name for name, pattern in LIBJPEG_PATTERNS.items() if any(map(pattern.search, lines))}
    said = [line for line in lines if any(pattern.search(line) for pattern in LIBJPEG_PATTERNS.values())]
    error = lines[-1] if told["code"] not in (0, 2) and lines else None
    return {"libjpeg": {"code": told["code"], "kinds": sorted(kinds), "error": error, "said": said[:5],
                        "extraneous": most_extraneous(said)}}


def most_extraneous(said):
    return max((int(number) for line in said for number in re.findall(r"(\d+) extraneous", line)), default=0)


def ask_png(path):
    """libpng by way of pngtopnm (the still picture, to IEND), and pngcheck (every chunk)."""
    libpng, checked = run_pixels("pngtopnm", "-byrow", path), run(["pngcheck", "-q", path])
    return {"libpng": libpng, "pngcheck": {"code": checked["code"], "said": first_lines(checked["out"], path)}}


def run_pixels(*command):
    """A command whose output is pixels: only what it says of its last argument and its exit code are of interest."""
    try:
        done = subprocess.run([*LIMITED, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return {"code": None, "said": [f"not read in {SECONDS} s"]}
    return {"code": done.returncode, "said": first_lines(text(done.stderr), command[-1])}


def ask_gif(path):
    """gifsicle, which reads every frame; it goes on after errors, so what it says counts."""
    return {"gifsicle": run_pixels("gifsicle", "--no-ignore-errors", "--output", "/dev/null", path)}


def first_lines(said, path):
    """The first lines that say something of the file, without its name."""
    lines = [line.replace(str(path), "").strip() for line in said.splitlines()]
    return [line for line in lines if line and not any(word in line for word in CHATTER)][:5]


TOOLS = {"jpeg": ask_jpeg, "png": ask_png, "gif": ask_gif}


def pillow_answers(paths, python):
    """{path: answer}; the reader is started again for the rest when a picture ends it."""
    answers, left = {}, list(paths)
    while left:
        done = subprocess.run([python, PILLOW_READER], input="\n".join(map(str, left)), capture_output=True, text=True)
        for line in done.stdout.splitlines():
            answer = json.loads(line)
            answers[Path(answer.pop("path"))] = answer
        left = [path for path in left if path not in answers]
        if left:
            answers[left.pop(0)] = {"ok": False, "warnings": [], "error": f"the reader ended: {done.returncode}"}
    return answers


def is_clean(answer):
    """Whether every reader of the format, and Pillow, read it without an error or a warning."""
    pillow = answer["pillow"]
    return not complaints(answer) and pillow["ok"] and not pillow["warnings"]


def complaints(answer):
    """What the references say is wrong, as short texts: Pillow's warnings and pngcheck's opinion apart."""
    found = []
    if "libjpeg" in answer and answer["libjpeg"]["code"] != 0:
        told = answer["libjpeg"]
        found += told["kinds"] if told["code"] == 2 else [f"libjpeg: {told['error']}"]
    for reader in ("libpng", "gifsicle"):
        if reader in answer:
            told = answer[reader]
            found += [f"{reader}: {line}" for line in told["said"] or [f"exit code {told['code']}"] * bool(told["code"])]
    if not answer["pillow"]["ok"]:
        found.append(f"Pillow: {answer['pillow']['error']}")
    return found


def gave_no_answer(complaint):
    return NO_ANSWER.search(complaint) is not None
