"""Commands through a running WebUI (`--webui URL`): its files, its choice, its downloads, its model.

They ask the routes for programs by `vae_manager.client`. A name and a password are in the address, else in the variable
VAE_MANAGER_WEBUI_AUTH, and no output contains them.
"""

from __future__ import annotations

import argparse
import base64
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from ..client import ASKING_SECONDS
from ..errors import Cancelled, IntegrityError, NotFoundError, UsageError
from ..messages import megabytes, msg
from .file_commands import SHEET, print_results, write_bytes
from .shared import ReadingBar, print_json, print_problem, printable, reading_bar, stop_on_ctrl_c

if TYPE_CHECKING:
    from ..client import Download, JobResult, Vae, WebUI

__all__ = [
    "ADDRESS",
    "AUTH",
    "add_cancel_options",
    "add_rescue_options",
    "add_use_options",
    "best",
    "cancel",
    "catalogue",
    "compare",
    "downloads",
    "get",
    "list_vaes",
    "needs",
    "rescue",
    "status",
    "use",
    "verify",
]

ADDRESS: Final = "http://127.0.0.1:7860"
"""The WebUI of the commands that need one, unless another is named."""
AUTH: Final = "VAE_MANAGER_WEBUI_AUTH"
"""The variable with `name:password`."""
INCOMPLETE: Final = 1
"""Exit status if a checkpoint lacks something."""
RIGHT: Final = ("verified", "unverified")
CARD: Final = "best.png"


@dataclass(frozen=True)
class Session:
    """A command on its way: the WebUI, and the event that Ctrl-C sets."""

    webui: WebUI
    stop: threading.Event
    bar: ReadingBar

    def wait(self, download: Download) -> Download:
        """Wait for the end of a download. Raises Cancelled at Ctrl-C: the WebUI goes on with it."""

        def report(seen: Download) -> None:
            self.bar.of(Path(seen["file_name"]))(seen["done"], seen["total"] or seen["done"])
            if self.stop.is_set():
                raise Cancelled(
                    msg(
                        "The WebUI goes on with the download of {file}. To end it: python -m vae_manager cancel {key}",
                        code="download-goes-on",
                        file=seen["file_name"],
                        key=seen["key"],
                    )
                )

        return self.webui.wait(download["key"], report)

    def ended(self, job: JobResult) -> JobResult:
        """Wait for the end of a job. Ctrl-C stops it, and raises Cancelled."""

        def report(seen: JobResult) -> None:
            self.bar.of(Path(seen["kind"]))(seen["done"], seen["total"] or seen["done"])
            if self.stop.is_set():
                self.webui.cancel_job(seen["key"])
                raise Cancelled(msg("Stopped."))

        return self.webui.wait_for_job(job["key"], report)


@contextmanager
def _session(options: argparse.Namespace) -> Iterator[Session]:
    from ..client import WebUI

    name, colon, password = os.environ.get(AUTH, "").partition(":")
    is_named = colon and "@" not in options.webui_url
    with (
        WebUI(options.webui_url, auth=(name, password) if is_named else None) as webui,
        stop_on_ctrl_c() as stop,
        reading_bar(options) as bar,
    ):
        yield Session(webui, stop, bar)


def _shown(options: argparse.Namespace, value: object, lines: Sequence[str]) -> None:
    """Print `value` as JSON, or the lines."""
    if options.json:
        print_json(value)
        return
    for line in lines:
        print(printable(line))


# -- what is there -------------------------------------------------------------------------------------------------
def status(options: argparse.Namespace) -> int:
    """Print the VAE in the model, and why it is that one."""
    with _session(options) as session:
        now = session.webui.status()
    return _print_status(options, now)


def _print_status(options: argparse.Namespace, now: Any) -> int:
    refused = [f"not in use: {now['refused']['error']}"] if now["refused"] is not None else []
    lines = [
        f"checkpoint  {now['checkpoint'] or 'none is loaded'}",
        f"in use      {now['vae'] or 'the VAE of the checkpoint'}" + (f", {now['entry']}" if now["entry"] else ""),
        f"setting     {now['choice']}, which means {now['resolves_to'] or 'the VAE of the checkpoint'} ({now['rule']})",
        *([f"SHA-256     {now['sha256']}"] if now["sha256"] is not None else []),
        *([f"verified    {now['verification']}"] if now["verification"] is not None else []),
        *refused,
    ]
    _shown(options, now, lines)
    return 0


def list_vaes(options: argparse.Namespace) -> int:
    """Print one row for each VAE file that the WebUI lists."""
    with _session(options) as session:
        rows = [_row(vae) for vae in session.webui.vaes()]
    lines = []
    for row in rows:
        facts = ", ".join(str(row[key]) for key in ("family", "layout", "dtype") if row[key] not in (None, "unknown"))
        what = row["reason"] or row["verification_reason"] or facts or row["container"]
        lines.append(f"{megabytes(row['size']):>8}  {row['name']}  {what}{'  (in use)' if row['is_in_use'] else ''}")
    _shown(options, rows, lines or [f"{session.webui.url} lists no VAE files."])
    return 0


def _row(vae: Vae) -> dict[str, Any]:
    """Return the fields that `list` prints of a file, and those that only a WebUI knows."""
    reason, found = vae["reason"], vae["verification_reason"]
    return {
        "path": vae["path"] or vae["name"],
        **{key: vae[key] for key in ("size", "container", "layout", "family", "latent_channels", "dtype", "sha256")},
        "verdict": vae["verdict"],
        "loadable": vae["is_loadable"],
        "convertible": vae["is_convertible"],
        "code": reason["code"] if reason is not None else None,
        "reason": reason["error"] if reason is not None else None,
        "verification": vae["verification"],
        "verification_reason": found["error"] if found is not None else None,
        "same_name_as": [],
        "name": vae["name"],
        "entry": vae["entry"],
        "is_in_use": vae["is_in_use"],
    }


def catalogue(options: argparse.Namespace) -> int:
    """Print the entries that the WebUI can download, with `--all` the recognised ones too."""
    with _session(options) as session:
        entries = [entry for entry in session.webui.catalogue() if options.all or entry["is_offered"]]
    lines = []
    for entry in entries:
        size = megabytes(entry["size"]) if entry["size"] is not None else ""
        licence = entry["licence"] or "licence not stated"
        here = f" (here: {entry['here']})" if entry["here"] is not None else ""
        lines.append(f"{entry['id']:<28} {entry['family']:<6} {size:>7}  {licence:<24} {entry['name']}{here}")
    _shown(options, [{**entry, "offered": entry["is_offered"]} for entry in entries], lines)
    return 0


def needs(options: argparse.Namespace) -> int:
    """Print the components of the WebUI's checkpoint; with `--get`, download the missing ones first."""
    with _session(options) as session:
        found, fetched = _known_needs(session), []
        if options.get and not found["complete"]:
            begun = session.webui.get_needs(accept=options.accept_terms)
            fetched = [session.wait(download) for download in begun]
            found = _known_needs(session)
    lines = [f"{found['checkpoint']}: {found['engine']}, for {found['host']}"]
    for one in found["components"]:
        where = one["files"][:1] or one["entries"][:1] or [""]
        lines.append(f"  {one['label']:<28} {one['state']:<9} {where[0]}".rstrip())
    _shown(options, {**found, "fetched": fetched}, lines)
    return 0 if found["complete"] else INCOMPLETE


def _known_needs(session: Session) -> Any:
    """Return the needs once the WebUI has read the files that may serve."""
    while (found := session.webui.needs())["is_checking"]:
        if session.stop.is_set():
            raise Cancelled(msg("Stopped."))
        time.sleep(ASKING_SECONDS)
    return found


# -- choices and downloads -----------------------------------------------------------------------------------------
def add_use_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `use`."""
    command.add_argument(
        "vae", metavar="VAE", help="the name of a file that the WebUI lists, None (the checkpoint's own) or Automatic"
    )
    command.add_argument("--sure", action="store_true", help="take a VAE that may be of another family")


def use(options: argparse.Namespace) -> int:
    """Choose a VAE, wait until it is in the model, and print what `status` prints."""
    with _session(options) as session:
        now = session.webui.choose(options.vae, sure=options.sure)
    return _print_status(options, now)


def get(options: argparse.Namespace) -> int:
    """Download one file by the WebUI, into its VAE folder, and print what it is. Raises UsageError and RefusedError."""
    text = options.source.strip()
    is_address = ":" in text or "/" in text
    if (is_address and options.use) or (not is_address and options.name is not None):
        raise UsageError(
            msg(
                "Through a WebUI, --use is for an entry of the catalogue, and --name for an address.",
                code="use-or-name",
            )
        )
    with _session(options) as session:
        if is_address:
            begun = session.webui.get_from(text, name=options.name or "", anyway=options.anyway)
        else:
            begun = session.webui.get(text, use=options.use, accept=options.accept_terms)
        done = session.wait(begun)
        there = next((_row(vae) for vae in session.webui.vaes() if vae["name"] == done["file_name"]), None)
    fields = there or {"path": done["file_name"], "name": done["file_name"], "sha256": done["sha256"]}
    if not options.json and there is not None and there["reason"] is not None:
        print_problem(there["reason"])
    digest = f", SHA-256 {fields['sha256']}" if fields["sha256"] is not None else ""
    _shown(options, {**fields, "key": done["key"]}, [f"{fields['path']}: {megabytes(done['done'])}{digest}"])
    return 0


def downloads(options: argparse.Namespace) -> int:
    """Print the downloads and the other jobs of the WebUI's process."""
    with _session(options) as session:
        every = {"downloads": session.webui.downloads(), "jobs": session.webui.jobs()}
    lines = []
    for one in (*every["downloads"], *every["jobs"]):
        failure = f": {one['failure']['error']}" if one["failure"] is not None else ""
        part = f"{100 * one['done'] // one['total']:>3} %" if one["total"] else ""
        lines.append(f"{one['state']:<8} {part:<6} {one['key']}  {one['name']}{failure}")
    _shown(options, every, lines or ["Nothing is under way."])
    return 0


def add_cancel_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `cancel`."""
    command.add_argument("key", metavar="KEY", help="the key of a download or a job, which `downloads` prints")


def cancel(options: argparse.Namespace) -> int:
    """Stop a download, whose bytes are discarded, or a job."""
    with _session(options) as session:
        is_download = options.key in (one["key"] for one in session.webui.downloads())
        stop: Callable[[str], Any] = session.webui.cancel if is_download else session.webui.cancel_job
        stopped = stop(options.key)
    _shown(options, stopped, [f"{stopped['key']}: {stopped['state']}"])
    return 0


# -- work on files and pictures ------------------------------------------------------------------------------------
def verify(options: argparse.Namespace) -> int:
    """Verify files of the WebUI by their names, or all; return the status of IntegrityError for wrong bytes."""
    if options.keep and not options.files:
        raise UsageError(msg("--keep needs the names of the files to keep."))
    rows: list[dict[str, Any]] = []
    with _session(options) as session:
        for name in [path.name for path in options.files] or [None]:
            done = session.ended(session.webui.verify(name, keep=options.keep))
            for one in done["verified"] or ():
                path = one["path"] or one["name"]
                row = {"path": path, "sha256": one["sha256"], "entry": one["entry"], "verdict": one["outcome"]}
                rows.append({**row, "text": one["text"]})
    _shown(options, rows, [f"{row['verdict']:<10} {row['path']}  {row['text']}" for row in rows])
    return 0 if all(row["verdict"] in RIGHT for row in rows) else IntegrityError.exit_status


def compare(options: argparse.Namespace) -> int:
    """Let the WebUI decode a picture by several VAEs, write the results to `--out`, and print their metrics."""
    picture = _content(options.picture) if options.picture is not None else None
    with _session(options) as session:
        job = session.webui.compare([str(vae) for vae in options.vaes], picture=picture, encode="each")
        comparison = session.ended(job)["comparison"]
    if comparison is None:
        raise NotFoundError(msg("The WebUI no longer has the result of this comparison.", code="no-longer-kept"))
    rows = [_written(options.out, number, one) for number, one in enumerate(comparison["results"], 1)]
    sheet = options.out / SHEET
    if comparison["sheet"] is not None:
        write_bytes(sheet, base64.b64decode(comparison["sheet"]))
    if options.json:
        shown = str(options.picture) if options.picture is not None else None
        print_json({"picture": shown, "sheet": str(sheet), "results": rows})
    else:
        print_results(rows, sheet)
    return IntegrityError.exit_status if all(row["file"] is None for row in rows) else 0


def _written(folder: Path, number: int, result: dict[str, Any]) -> dict[str, Any]:
    """Write the picture of one VAE; return what `compare` prints of it."""
    file = None
    if result["picture"] is not None:
        file = folder / f"{number}-{Path(result['vae']).stem or 'vae'}.png"
        write_bytes(file, base64.b64decode(result["picture"]))
    kept = ("vae", "figures", "words", "seconds", "peak_bytes", "note", "error", "code")
    fields = {"file": str(file) if file is not None else None, **{key: result[key] for key in kept}}
    if not result["words"] and result["error"] is None:
        fields["words"] = ["reference"]
    return fields


def _content(path: Path) -> bytes:
    from ..compare.picture_folder import files_below

    [sample] = files_below(path) if path.is_file() else [None]
    if sample is None:
        raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=path))
    return sample.read()


def best(options: argparse.Namespace) -> int:
    """Let the WebUI rank VAEs by the pictures of a folder here, or by its last pictures, and print the ranking."""
    from ..compare.picture_folder import files_below, spread

    samples = spread(files_below(options.pictures), options.count) if options.pictures is not None else None
    with _session(options) as session:
        vaes = [str(vae) for vae in options.vaes]
        if not vaes:
            vaes = [vae["name"] for vae in session.webui.vaes() if vae["is_loadable"]]
        sent = ((sample.name, sample.read()) for sample in samples) if samples is not None else None
        ranking = session.ended(session.webui.best(vaes, sent))["ranking"]
    if ranking is None:
        raise NotFoundError(msg("The WebUI no longer has the result of this ranking.", code="no-longer-kept"))
    drawn, card = ranking.pop("card"), None
    if options.out is not None and drawn is not None:
        card = options.out / CARD
        write_bytes(card, base64.b64decode(drawn))
    if not options.json:
        for one in ranking["left_out"]:
            print_problem(f"{one['picture']}: {one['reason']}")
        for one in ranking["failed"]:
            print_problem(one["error"])
    lines = [f"{ranking['pictures']} pictures, their middle {ranking['side']} × {ranking['side']} pixels at most"]
    lines += [ranking["note"]] if ranking["note"] is not None else []
    lines += [f"{row['place']}  {row['distance']:6.2f}  {row['vae']}: {row['sentence']}" for row in ranking["ranking"]]
    lines += [f"{card}: the card to keep or to share"] if card is not None else []
    folder = str(options.pictures) if options.pictures is not None else None
    _shown(options, {**ranking, "folder": folder, "card": str(card) if card is not None else None}, lines)
    return 0 if ranking["ranking"] else IntegrityError.exit_status


def add_rescue_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `rescue`."""
    command.add_argument(
        "--out", type=Path, required=True, metavar="FILE", help="the PNG that is written, with its infotext"
    )
    command.add_argument(
        "--infotext", metavar="TEXT", help="the infotext of one of the last pictures (default: the newest picture)"
    )


def rescue(options: argparse.Namespace) -> int:
    """Let the WebUI decode one of the last pictures again, and write the picture.

    Returns the status of IntegrityError if no VAE gives one.
    """
    with _session(options) as session:
        done = session.webui.rescue(options.infotext)
    results = done["results"]
    last = results[-1] if results else None
    file = None
    if last is not None and last["picture"] is not None:
        file = options.out
        write_bytes(file, base64.b64decode(last["picture"]))
    tried = [{key: one[key] for key in ("vae", "seconds", "nan", "note", "error", "code")} for one in results]
    lines = [f"{one['vae']}: {one['error'] or one['note'] or 'gave a picture'}" for one in tried]
    lines += [f"{file}: the picture"] if file is not None else []
    _shown(options, {"file": str(file) if file is not None else None, "tried": tried}, lines)
    return 0 if file is not None else IntegrityError.exit_status
