"""The differential test: what brandpost says of pictures, beside what libjpeg, libpng, gifsicle and Pillow say."""

import argparse
import json
import sys
from pathlib import Path

import cases
import report
from collect import gather
from product import Product, peak_memory, ten_copies
from references import References, is_clean

TOP = 10


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--pillow-python", type=Path, required=True)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--bases", type=int, default=100)
    parser.add_argument("--variant-bases", type=int, default=24)
    return parser.parse_args()


def main():
    asked = arguments()
    folder = asked.folder.resolve()
    plan = cases.Plan(asked.seed, asked.bases, asked.variant_bases, folder / "made")
    references = References(folder / "reference.json", asked.pillow_python)
    everything, answers = all_cases(folder, plan, references)
    product = Product(asked.binary.resolve(), folder)
    say(f"{len(everything)} files are inspected")
    verdicts = product.verdicts([case.path for case in everything])
    memory = measure(product, everything, folder)
    mime = report.mime_types([case.path for case in everything if case.role == cases.OTHER])
    keep(folder / "results.json", everything, answers, verdicts)
    judged = report.Judged(everything, answers, verdicts, report.allowances(Path(__file__).with_name("allowances.tsv")))
    text, broken = report.whole(judged, mime, memory, product.accidents, references.versions)
    (folder / "report.txt").write_text(text)
    print(text)
    return 1 if broken else 0


def all_cases(folder, plan, references):
    """Every case, and what the references say of those that are pictures by their first bytes."""
    found = cases.as_found(gather(folder / "unpacked", folder / "found"))
    pictures = [case for case in found if case.role == cases.AS_FOUND]
    say(f"{len(pictures)} pictures and {len(found) - len(pictures)} files of other kinds were found")
    answers = references.ask([(case.path, case.format) for case in pictures])
    clean = [case for case in pictures if is_clean(answers[case.path])]
    variants = cases.variants(clean, plan)
    say(f"{len(variants)} variants are read by the references")
    answers |= references.ask([(case.path, case.format) for case in variants])
    damaged = cases.damage(clean, [case for case in variants if is_clean(answers[case.path])], plan)
    say(f"{len(damaged)} damaged files are read by the references")
    answers |= references.ask([(case.path, case.format) for case in damaged])
    return found + variants + damaged, answers


def measure(product, everything, folder):
    """[(MiB alone, MiB of ten copies at once, case)] of the files that take most, the greediest first."""
    found = [case for case in everything if case.role != cases.DAMAGED]
    say(f"the memory of {len(found)} files is measured")
    alone = peak_memory(product, [[case.path] for case in found])
    top = sorted(zip(alone, found), key=lambda pair: -pair[0])[:TOP]
    return [(peak, peak_memory(product, [ten_copies(case.path, folder / "ten")])[0], case) for peak, case in top]


def keep(path, everything, answers, verdicts):
    """All that was learned, for whoever looks into a difference."""
    rows = [{"path": str(case.path), "name": case.name, "format": case.format, "role": case.role, "way": case.way,
             "reference": answers.get(case.path), "verdict": vars(verdicts[case.path])} for case in everything]
    path.write_text(json.dumps(rows, indent=0))


def say(text):
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
