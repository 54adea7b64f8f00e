"""Faults put into the product on purpose: each of them must fail a test.

    python tasks.py prove mutations [-- --only TEXT]

Each mutation replaces one passage of one module in a copy of the project, and the tests that guard it run there. A test
run that passes means that the fault survives.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.results import write

ROOT = Path(__file__).resolve().parents[1]
PARTS = (
    *("vae_manager", "tests", "scripts", "javascript", "localizations", "bench", "docs", "tasks.py", "install.py"),
    *("preload.py", "style.css", "pyproject.toml", "README.md", "README.zh-CN.md", "CHANGELOG.md"),
)


@dataclass(frozen=True)
class Mutation:
    """A passage that stands once in `module`, and what takes its place."""

    fault: str
    module: str
    old: str
    new: str
    tests: Sequence[str]


MUTATIONS = [
    Mutation(
        "Verify does not look at the numbers",
        "library/verification.py",
        "        if has_numbers:\n            found = find_nan(",
        "        if False:\n            found = find_nan(",
        ["tests/maintenance/test_verifying.py", "tests/library/test_verification.py"],
    ),
    Mutation(
        "the page's state is given to other sites",
        "webui/admission.py",
        'if any(site.strip().lower() not in OWN_PAGE for site in found.get("sec-fetch-site", [])):',
        "if False:",
        ["tests/webui/test_admission.py", "tests/admission"],
    ),
    Mutation(
        "a restored file loses what was known of it",
        "library/trash.py",
        "        carry(known, around)\n        tidy_place(gone.place)",
        "        tidy_place(gone.place)",
        ["tests/library/test_trash.py"],
    ),
    Mutation(
        "a file of another family is used without a question",
        "records/verdict.py",
        "    if question is not None:",
        "    if False:",
        ["tests/records/test_verdict.py"],
    ),
    Mutation(
        "a guess is worded as a fact",
        "records/verdict.py",
        "    if record.family.sure:",
        "    if True:",
        ["tests/records/test_verdict.py", "tests/webui"],
    ),
    Mutation(
        "an unusual network is refused without a checkpoint",
        "records/verdict.py",
        "is_unusual = refusal is not None and tensors is None and refusal.code in QUESTION_CODES",
        "is_unusual = False",
        ["tests/records/test_verdict.py"],
    ),
    Mutation(
        "a decoder alone passes for a VAE",
        "records/verdict.py",
        "        if is_wanted and not any(name.startswith(half) for name in shapes):",
        "        if False:",
        ["tests/records/test_verdict.py", "tests/files/test_inspection.py", "tests/records/test_promises.py"],
    ),
    Mutation(
        "names decide, and shapes do not",
        "records/verdict.py",
        "others = [name for name, shape in theirs.items() if tuple(ours[name]) != tuple(shape)]",
        "others: list[str] = []",
        ["tests/records/test_verdict.py", "tests/records/test_promises.py"],
    ),
    Mutation(
        "Forge's layouts are those of A1111",
        "records/verdict.py",
        'if found.naming == "diffusers" and "diffusers" not in host.layouts:',
        'if found.naming == "diffusers":',
        ["tests/records/test_verdict.py", "tests/records/test_promises.py"],
    ),
    Mutation(
        "tables of other dtypes are one",
        "files/headers.py",
        "rows = [[name, spec.dtype, list(spec.shape)] for name, spec in specs.items()]",
        'rows = [[name, "F32", list(spec.shape)] for name, spec in specs.items()]',
        ["tests/records/test_store.py", "tests/files/test_inspection.py", "tests/records/test_verdict.py"],
    ),
    Mutation(
        "a failure on use is not shown",
        "library/inspection_cache.py",
        "problems = record.problems if is_told or failure is None else (*record.problems, failure)",
        "problems = record.problems",
        ["tests/maintenance/test_records.py"],
    ),
    Mutation(
        "zeros where a download is not filled pass",
        "files/tensor_data.py",
        "                    return unfinished(path.name)",
        "                    return None",
        ["tests/files/test_zero_runs.py", "tests/files/test_inspection.py"],
    ),
    Mutation(
        "a record of another process is overwritten by an older one",
        "records/store.py",
        "            self._rows[key] = self._together(record, mine) if key in self._unwritten and mine is not None "
        "else record",
        "            if mine is None:\n                self._rows[key] = record",
        ["tests/records/test_store.py", "tests/records/test_hashes.py"],
    ),
    Mutation(
        "a transaction that failed is committed",
        "records/database.py",
        '                    connection.execute("ROLLBACK")',
        '                    connection.execute("COMMIT")',
        ["tests/records/test_store.py"],
    ),
    Mutation(
        "a record is forgotten in memory only",
        "records/store.py",
        "                self._removed[key] = None\n",
        "",
        ["tests/records/test_store.py", "tests/records/test_hashes.py"],
    ),
    Mutation(
        "a new database gets no records of before",
        "records/store.py",
        "        self._unwritten = dict.fromkeys(self._rows)",
        "        self._unwritten = {}",
        ["tests/records/test_store.py"],
    ),
    Mutation(
        "a hash holds for another ctime",
        "files/record.py",
        "status.st_ino, status.st_ctime_ns)",
        "status.st_ino, 0)",
        ["tests/records/test_hashes.py", "tests/library/test_index.py"],
    ),
    Mutation(
        "a look at the trash counts for good",
        "maintenance.py",
        'paths = ["", *entries, *(f"{entry}/files" for entry in entries)]',
        'paths = [""]',
        ["tests/maintenance/test_removed_files.py"],
    ),
    Mutation(
        "a LoRA comes whole",
        "transfer/delivery.py",
        "            self.look_at_the_beginning(location.source, expected)",
        "            pass",
        ["tests/transfer/test_arrival.py"],
    ),
    Mutation(
        "equal weights are compared twice",
        "webui/ui/comparison_page.py",
        "        seen |= hashes",
        "        pass",
        ["tests/webui/test_comparison.py"],
    ),
]


def main() -> None:
    options = argparse.ArgumentParser(prog="python tasks.py prove mutations")
    options.add_argument("--only", default="", metavar="TEXT", help="those whose fault has this text in it")
    wanted = options.parse_args().only
    found = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "project"
        copy.mkdir()
        for part in PARTS:
            place = ROOT / part
            (shutil.copytree if place.is_dir() else shutil.copy2)(place, copy / part)
        for mutation in (one for one in MUTATIONS if wanted in one.fault):
            found.append(tried(mutation, copy))
            print(found[-1], flush=True)
    survivors = [one["fault"] for one in found if not one["test"]]
    if not wanted:
        write("mutations", {"mutations": found, "survivors": survivors})
    sys.exit(1 if survivors else 0)


def tried(mutation: Mutation, copy: Path) -> dict[str, object]:
    """Run the tests with the fault; returns the first that failed."""
    module = copy / "vae_manager" / mutation.module
    before = module.read_text(encoding="utf-8")
    if before.count(mutation.old) != 1:
        raise SystemExit(f"{mutation.module} has this {before.count(mutation.old)} times: {mutation.old}")
    module.write_text(before.replace(mutation.old, mutation.new), encoding="utf-8")
    began = time.monotonic()
    try:
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *mutation.tests]
        run = subprocess.run(
            command, cwd=copy, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": str(copy)}
        )
    finally:
        module.write_text(before, encoding="utf-8")
    failed = next((line.split()[1] for line in run.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))), None)
    if run.returncode not in (0, 1):
        raise SystemExit(f"{mutation.fault}: the tests did not run.\n{run.stdout[-2000:]}{run.stderr[-2000:]}")
    return {
        "fault": mutation.fault,
        "module": mutation.module,
        "test": failed,
        "seconds": round(time.monotonic() - began, 1),
    }


if __name__ == "__main__":
    main()
