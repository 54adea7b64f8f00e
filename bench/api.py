"""Fuzz the API for programs by its own document of OpenAPI, on the stand-ins with gradio 3 and gradio 4.

    python tasks.py prove api [--cases N] [--kind KIND …]

Schemathesis, in an environment of its own, makes requests from the document that the WebUI serves: right and wrong
bodies, other methods, other headers. Each answer has to have a documented status and to match its model; none is a 500.
Then the same requests come without the sign-in, to a WebUI with --api-auth and to one with --gradio-auth: each of them
is refused, and no file changes.

The result goes to bench/results/api.json, with the seed of each run.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import requests

from bench.results import write
from tests.admission.conftest import prepare, state_of_disk
from tests.admission.programs import DATA, ENTRY, picture
from tests.environments import FUZZER_ENVIRONMENT, GRADIO_4_ENVIRONMENT, WEBUI_ENVIRONMENT
from tests.environments import prepare as provide
from tests.host.asking import Picture
from tests.host.fixtures import WebUI, start_webui
from tests.hub import Hub

KINDS: Final = {"gradio 3.41.2": (WEBUI_ENVIRONMENT, ()), "gradio 4.40.0": (GRADIO_4_ENVIRONMENT, ("--as", "forge"))}
OPEN_CHECKS: Final = (
    "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,"
    "missing_required_header,unsupported_method"
)
HOOKS: Final = """
import schemathesis

VAES = ["None", "Automatic", "good.safetensors", "other.safetensors", "bad.safetensors", "gone.safetensors"]
KNOWN = {"vae": VAES,
         "entry": ["mine", "ft-mse", "gone"], "batch": [None, "a"], "infotext": [None],
         "address": ["%(hub)s/me/vaes/resolve/main/mine.safetensors", "%(hub)s/me/vaes", "hub:me/vaes/x.safetensors"],
         "key": ["verify-all", "1", "2", "trial-1", "gone"], "picture": ["%(picture)s"]}


@schemathesis.hook
def map_body(context, body):
    if not isinstance(body, dict):
        return body
    number = sum(map(ord, repr(sorted(body.items(), key=repr))))
    made = {key: KNOWN[key][number %% len(KNOWN[key])] if key in KNOWN and number %% 3 else value
            for key, value in body.items()}
    if isinstance(body.get("vaes"), list) and number %% 3:
        made["vaes"] = VAES[: 3 + number %% 3]
    return made
"""
"""Two bodies of three get values that mean something here, or nothing but the first check of a field would be tried."""
SEED: Final = 20_261_201
PATHS: Final = "^/vae-manager/"


def fuzz(webui: WebUI, folder: Path, cases: int, checks: str, hub: str) -> dict[str, Any]:
    """Run the fuzzer over the routes; return the statuses of the answers by route, and the failures."""
    report, hooks = folder / "report.ndjson", folder / "hooks.py"
    hooks.write_text(HOOKS % {"hub": hub, "picture": base64.b64encode(picture()).decode()}, encoding="utf-8")
    program = FUZZER_ENVIRONMENT.python.with_name("schemathesis")
    command = [program, "run", f"{webui.url}/openapi.json", "--include-path-regex", PATHS, "--checks", checks,
               "--max-examples", str(cases), "--seed", str(SEED), "--no-color", "--continue-on-failure", "--no-shrink",
               "--phases", "examples,coverage,fuzzing", "--generation-database", "none", "--request-timeout", "120",
               "--suppress-health-check", "all", "--report", "ndjson", "--report-ndjson-path", report]  # fmt: skip
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": hooks.stem, "PYTHONPATH": str(folder)}
    done = subprocess.run(
        [*map(str, command)], capture_output=True, text=True, cwd=folder, check=False, env=environment
    )
    (folder / "fuzzer.txt").write_text(done.stdout + done.stderr, encoding="utf-8")
    return {"status": done.returncode, **read_report(report), "text": done.stdout[-6000:]}


def read_report(report: Path) -> dict[str, Any]:
    """Count the answers of a run by route and status, and list its failed checks."""
    statuses: dict[str, Counter[str]] = {}
    failures: Counter[str] = Counter()
    for line in report.read_text(encoding="utf-8").splitlines():
        event = json.loads(line).get("ScenarioFinished")
        if event is None:
            continue
        recorder = event["recorder"]
        for id, interaction in recorder.get("interactions", {}).items():
            answer = interaction["response"]
            status = str(answer["status_code"]) if answer is not None else "none"
            statuses.setdefault(recorder["label"], Counter())[status] += 1
            for check in recorder.get("checks", {}).get(id, ()):
                if check["status"] != "success":
                    failures[f"{recorder['label']} {check['name']} {status}"] += 1
    return {
        "cases": sum(sum(one.values()) for one in statuses.values()),
        "answers": {label: dict(sorted(one.items())) for label, one in sorted(statuses.items())},
        "failures": dict(failures),
    }


def main() -> None:
    parser = argparse.ArgumentParser(prog="python tasks.py prove api")
    parser.add_argument("--cases", type=int, default=150, help="of a route, in the phase that makes them by chance")
    parser.add_argument("--kind", choices=KINDS, action="append")
    options = parser.parse_args()
    provide(FUZZER_ENVIRONMENT)
    figures: dict[str, Any] = {"seed": SEED, "cases of a route": options.cases}
    for kind in options.kind or KINDS:
        figures[kind] = {"open": _open(kind, options.cases)}
        for flag in ("--api-auth", "--gradio-auth"):
            figures[kind][f"without the sign-in of {flag}"] = _closed(kind, flag, options.cases)
    print(write("api", figures))


def _start(kind: str, data: Path, *flags: str, env: Mapping[str, str]) -> WebUI:
    environment, more = KINDS[kind]
    provide(environment)
    prepare(data)
    (data / "vae-manager").mkdir(exist_ok=True)
    (data / "vae-manager" / "catalogue.yaml").write_text(ENTRY, encoding="utf-8")
    return start_webui(data, "--api", "--step-seconds", "0.001", *more, *flags, env=env, python=str(environment.python))


def _open(kind: str, cases: int) -> dict[str, Any]:
    """Fuzz as the owner: all of it is done, if it can be."""
    with tempfile.TemporaryDirectory() as folder, Hub() as hub:
        hub.add("me/vaes", "mine.safetensors", DATA)
        with _start(kind, Path(folder, "data"), env={"HF_ENDPOINT": hub.endpoint}) as webui:
            assert Picture(webui).status == 200  # Forge loads no model before
            began = time.monotonic()
            found = fuzz(webui, Path(folder), cases, OPEN_CHECKS, hub.endpoint)
            found["seconds"] = round(time.monotonic() - began)
            found["still works"] = requests.get(f"{webui.url}/vae-manager/v1/status", timeout=60).ok
            log = webui.log.read_text(encoding="utf-8", errors="replace")
            found["tracebacks in the log"] = len(re.findall("^Traceback", log, re.MULTILINE))
            return _shown(kind, found)


def _closed(kind: str, flag: str, cases: int) -> dict[str, Any]:
    """Fuzz without the sign-in: nothing is done."""
    with (
        tempfile.TemporaryDirectory() as folder,
        _start(kind, Path(folder, "data"), flag, "me:secret", env={}) as webui,
    ):
        before = state_of_disk(webui)
        found = fuzz(webui, Path(folder), cases, "not_a_server_error", webui.url)
        found["statuses"] = sorted({status for one in found["answers"].values() for status in one})
        found["disk unchanged"] = state_of_disk(webui) == before
        return _shown(kind, found)


def _shown(kind: str, found: dict[str, Any]) -> dict[str, Any]:
    print(kind, found["cases"], "cases", found["failures"] or "no failure", flush=True)
    text = found.pop("text")
    if found["failures"] or found["status"] not in (0, 1):
        print(text)
    return found


if __name__ == "__main__":
    main()
