"""Compares the verdicts with the references, and writes the report."""

import subprocess
from collections import Counter, defaultdict
from fnmatch import fnmatch

from cases import AS_FOUND, DAMAGED, OTHER, VARIANT
from damage_jpeg import COMMON_WAYS
from references import complaints, gave_no_answer, is_clean

FOUND_AT_LEAST = 0.99
MEMORY_AT_MOST = 150  # MiB, ten copies at once
NO_NAME = "of a kind that is not known here"


def allowances(path):
    """[(field, pattern, reason)] of the table."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return [tuple(line.split("\t")) for line in lines]


class Judged:
    """Every case with its reference and its verdict."""

    def __init__(self, everything, answers, verdicts, allowed):
        self.cases, self.answers, self.verdicts, self.allowed = everything, answers, verdicts, allowed

    def of(self, role, kind=None):
        return [case for case in self.cases if case.role == role and kind in (None, case.format)]

    def refused(self, case):
        return self.verdicts[case.path].ok is False

    def damage_said(self, case):
        """What the references say of the damage to the picture itself. Of JPEGs Pillow knows no more than libjpeg,
        but takes every missing end marker for damage."""
        said = [text for text in complaints(self.answers[case.path]) if not self.harmless(text)]
        return [text for text in said if case.format != "jpeg" or not text.startswith("Pillow")]

    def harmless(self, text):
        return self.reason("warning", text) is not None or gave_no_answer(text)

    def reason(self, field, value):
        """Why the table allows it, or None."""
        return next((why for name, pattern, why in self.allowed if name == field and fnmatch(value, pattern)), None)

    def refusal_allowed(self, case):
        asked = [("name", case.name), ("error_kind", self.verdicts[case.path].kind)]
        asked.append(("coding" if case.role == AS_FOUND else "way", case.way))
        return any(self.reason(field, value) for field, value in asked)


def whole(judged, mime, memory, accidents, versions):
    """The report, and the list of thresholds that are broken."""
    broken = []
    parts = [["references: " + "; ".join(f"{name}: {told}" for name, told in versions.items())],
             damage_table(judged, broken), sound(judged, broken), refused_with_warnings(judged),
             accepted_although(judged), names(judged, mime), memory_table(memory, broken)]
    if accidents:
        broken.append(f"{len(accidents)} panics or calls without an answer")
        parts.append(["", "Panics and calls without an answer:", *accidents])
    parts.append(["", *(f"BROKEN: {text}" for text in broken)] if broken else ["", "All thresholds are kept."])
    return "\n".join(line for part in parts for line in part), broken


def damage_table(judged, broken):
    """Of each way of damage: how much of it was found, by what the references say."""
    lines = ["", "Damage made, by format and way. `warned`: a reference says that the picture is damaged; `mild`: it says"
             " only what the table of allowances lists, such as bytes left after the last unit; `silent`: nothing.", "",
             f"{'':34}{'files':>6} |{'warned':>7}{'found':>6}{'missed':>7} |{'mild':>6}{'found':>6} |{'silent':>7}{'found':>6}"]
    for kind in ("jpeg", "png", "gif"):
        by_way = defaultdict(Counter)
        for case in judged.of(DAMAGED, kind):
            by_way[case.way][group(judged, case)] += 1
        lines += [damage_row(f"{kind}: {way}", counts) for way, counts in by_way.items()]
        held = {way: counts for way, counts in by_way.items() if not way.startswith("flip")}
        lines += [damage_row(f"{kind}, all but flips", sum(held.values(), Counter()))]
        hold(f"{kind}, all ways", held.values(), ("warned",), lines, broken)
        if kind == "jpeg":
            common = [counts for way, counts in held.items() if way in COMMON_WAYS]
            hold("jpeg, common ways, mild warnings too", common, ("warned", "mild"), lines, broken)
        lines.append("")
    return lines + missed_files(judged)


def hold(label, counts, groups, lines, broken):
    """Says how much of the damage was found, and holds it to the threshold."""
    found = sum(one[said, True] for one in counts for said in groups)
    missed = sum(one[said, False] for one in counts for said in groups)
    if found + missed:
        share = found / (found + missed)
        lines.append(f"{label}: {found} of {found + missed} found, {100 * share:.2f} %")
        if share < FOUND_AT_LEAST:
            broken.append(f"{label}: {100 * share:.2f} % of the damage was found, less than {100 * FOUND_AT_LEAST:.0f} %")


def group(judged, case):
    """(what the references say, whether it was refused)"""
    if judged.damage_said(case):
        said = "warned"
    else:
        said = "mild" if complaints(judged.answers[case.path]) else "silent"
    return said, judged.refused(case)


def damage_row(label, counts):
    warned, mild, silent = ((counts[said, True], counts[said, False]) for said in ("warned", "mild", "silent"))
    return (f"{label:34}{counts.total():6} |{sum(warned):7}{warned[0]:6}{warned[1]:7} |{sum(mild):6}{mild[0]:6}"
            f" |{sum(silent):7}{silent[0]:6}")


def missed_files(judged, most=40):
    missed = [case for case in judged.of(DAMAGED) if group(judged, case) == ("warned", False)]
    missed = [case for case in missed if not case.way.startswith("flip")]
    lines = [f"missed: {case.path.name}: {'; '.join(judged.damage_said(case))[:160]}" for case in missed[:most]]
    return lines + ([f"… and {len(missed) - most} more in results.json"] if len(missed) > most else [])


def sound(judged, broken):
    """Files that must be accepted: those that every reference reads without a warning, and the variants."""
    lines = ["", "Sound pictures"]
    for role in (AS_FOUND, VARIANT):
        for kind in ("jpeg", "png", "gif"):
            good = [case for case in judged.of(role, kind) if role == VARIANT or is_clean(judged.answers[case.path])]
            wrong = [case for case in good if judged.refused(case)]
            faults = [case for case in wrong if not judged.refusal_allowed(case)]
            lines.append(f"{kind}, {role}: {len(good)} files, {len(faults)} refused wrongly,"
                         f" {len(wrong) - len(faults)} refused as allowed")
            lines += [refusal(judged, case) for case in faults]
            if faults:
                broken.append(f"{kind}, {role}: {len(faults)} sound files were refused")
    return lines


def refusal(judged, case):
    verdict = judged.verdicts[case.path]
    way = f" [{case.way}]" if case.role == VARIANT else ""
    return f"  {case.name}{way}: {verdict.kind}: {verdict.message}"


def refused_with_warnings(judged):
    """For people to look at: refused, and every reference gets a picture out of it, though with a warning."""
    lines = ["", "Refused as found, and read by the references with a warning that is no damage of the picture:"]
    for case in judged.of(AS_FOUND):
        answer = judged.answers[case.path]
        if judged.refused(case) and not is_clean(answer) and answer["pillow"]["ok"] and not judged.damage_said(case):
            lines.append(f"{refusal(judged, case)} ({'; '.join(complaints(answer))[:120]})")
    return lines


def accepted_although(judged):
    """For people to look at: accepted as found, and a reference says that it is damaged."""
    lines = ["", "Accepted as found, and damaged in the eyes of a reference:"]
    for case in judged.of(AS_FOUND):
        if not judged.refused(case) and judged.damage_said(case):
            lines.append(f"  {case.name}: {'; '.join(judged.damage_said(case))[:160]}")
    return lines


def names(judged, mime):
    """What files of other kinds are called, beside what file(1) calls them."""
    others = judged.of(OTHER)
    unnamed = [case for case in others if NO_NAME in judged.verdicts[case.path].message]
    table = Counter((mime[case.path], judged.verdicts[case.path].message) for case in others)
    lines = ["", f"Other kinds: {len(others)} files, {len(unnamed)} of a kind that is not known, "
             f"{sum(not judged.refused(case) for case in others)} accepted. What file(1) calls them, and what we do:"]
    return lines + [f"{count:5}  {kind:40} {message[:110]}" for (kind, message), count in sorted(table.items())]


def mime_types(paths):
    """{path: MIME type} by file(1)."""
    listed = "\n".join(map(str, paths))
    done = subprocess.run(["file", "--brief", "--mime-type", "--files-from", "-"], input=listed, text=True,
                          capture_output=True, check=True)
    return dict(zip(paths, done.stdout.splitlines()))


def memory_table(memory, broken):
    lines = ["", "Memory of one call, in MiB: a file alone, ten copies of it at once"]
    lines += [f"{alone:7.1f} {ten:7.1f}  {case.name} [{case.way}]" for alone, ten, case in memory]
    worst = max((ten for _, ten, _ in memory), default=0)
    if worst > MEMORY_AT_MOST:
        broken.append(f"ten copies at once took {worst:.0f} MiB, more than {MEMORY_AT_MOST}")
    return lines
