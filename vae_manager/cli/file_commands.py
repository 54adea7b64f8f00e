"""Commands on files: `list`, `inspect`, `verify`, `convert` and `compare`."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Mapping, Sequence, Set
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..catalogue import FAMILIES, FamilyGuess, LocalSource
from ..catalogue.local_path import is_folder, is_there, local_path
from ..catalogue.source_text import typed_source
from ..downloads import History, references_of
from ..errors import (
    Cancelled,
    DiskError,
    IntegrityError,
    NotFoundError,
    UsageError,
    VaeManagerError,
    WholeRepositoryError,
)
from ..files import FileRecord, inspect, sha256_of
from ..files.conversion import DTYPES, Converted, convert, described, find_twin, free_name, plan
from ..library import Folder, collisions, scan
from ..library.verification import (
    References,
    Verification,
    can_be_kept,
    can_check_for_nan,
    kept,
    outcome_text,
    verify,
)
from ..maintenance import summary_of
from ..messages import Message, megabytes, msg
from ..records import HashStore
from ..records.verdict import HOSTS, AskFirst, Refused, Verdict, obstacle_of
from ..sync import worst_exit_status
from ..transfer import Network, RemoteInspection, inspect_remote, only_file
from ..transfer.resolved_url import shown_source
from .shared import (
    LibraryReader,
    OutcomeList,
    add_catalogue_argument,
    add_data_argument,
    add_folder_argument,
    add_host_argument,
    add_network_arguments,
    data_of,
    default_folder,
    error_fields,
    existing_folder_of,
    folder_of,
    judge,
    keep,
    load_catalogue,
    network_of,
    print_json,
    print_problem,
    printable,
    reading_bar,
    require_argument,
    stop_on_ctrl_c,
    verdict_fields,
    verification_fields,
)

if TYPE_CHECKING:
    from threading import Event

    import torch

    from ..compare import Decoded, Result
    from ..compare.comparison_store import Pixels


WHY = {
    "yours": "you said so",
    "hash": "the catalogue knows its hash",
    "weights": "a file with the same weights or the same encoder is in the catalogue",
    "yours by weights": "you said so of a file with the same weights",
    "yours by encoder": "a guess: you said so of a file with the same encoder",
    "shapes": "its shapes leave no other",
    "latent test": "a guess: the latent test said so",
}


def add_list_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `list`, which takes a folder and no file names."""
    add_host_argument(command)
    add_data_argument(command)
    add_folder_argument(command)
    add_catalogue_argument(command)


def run_list(options: argparse.Namespace) -> int:
    """Print one row for each VAE file of the folder, from headers and stored hashes: no file is read whole.

    Unreadable subfolders are reported and skipped. Returns 0, for an empty folder too. Raises NotFoundError without a
    folder.
    """
    folder = existing_folder_of(options)
    reader = LibraryReader(data_of(options, folder))
    reader.recover(folder)
    files = {file.path: file for file in scan([Folder(folder)], print_problem)}
    records = reader.with_families(reader.index.inspect_all(files.values()), load_catalogue(options))
    doubled = collisions(files[record.path] for record in records)
    rows = [
        {
            "path": str(record.path),
            "size": record.size,
            "container": record.container,
            "layout": record.layout,
            "family": record.family.family,
            "latent_channels": record.latent_channels,
            "dtype": record.dtype,
            "sha256": record.sha256,
            **verdict_fields(judge(record, options)),
            **verification_fields(reader.verification_of(record)),
            "same_name_as": [
                str(other.path) for other in doubled.get(record.path.name, ()) if other.path != record.path
            ],
        }
        for record in records
    ]
    if options.json:
        print_json(rows)
        return 0
    if not rows:
        print(f"No VAE files in {folder}.")
    for record, row in zip(records, rows, strict=True):
        facts = ", ".join(str(row[key]) for key in ("family", "layout", "dtype") if row[key] not in (None, "unknown"))
        note = "  (another file has this name: the WebUI lists one of them)" if row["same_name_as"] else ""
        what = row["reason"] or row["verification_reason"] or facts or row["container"]
        print(printable(f"{megabytes(record.size):>8}  {files[record.path].relative}  {what}{note}"))
    return 0


def add_inspect_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `inspect`; its files may be anywhere, so there is no `--dir`."""
    command.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="files of any kind, folders, of which the VAE files count, and sources as `get` takes them, of which the "
        "header alone is fetched",
    )
    command.add_argument("--no-hash", action="store_true", help="read the header alone: no SHA-256, no fingerprints")
    add_host_argument(command)
    add_data_argument(command)
    add_catalogue_argument(command)
    add_network_arguments(command)


def run_inspect(options: argparse.Namespace) -> int:
    """Print the facts of each file, after a hash of its bytes unless `--no-hash` is given.

    Of a file that is not on this machine, the header alone is fetched, and nothing is kept. A failure stops no other
    file. Returns the exit status of the worst one, 0 for damaged files that can be read.
    """
    catalogue, network = load_catalogue(options), network_of(options)
    texts = [text for given in options.files for text in _vae_files(given)]
    local = [path for text in texts if (path := _local_path(text, network)) is not None]
    reader = LibraryReader(data_of(options, local[0].parent if local else default_folder()))
    inspected: list[FileRecord] = []
    sources: list[str | None] = []
    failed: list[tuple[str, VaeManagerError]] = []
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for text in texts:
            path = _local_path(text, network)
            try:
                if path is None:
                    found = _inspect_source(text, network, stop)
                    record, source = found.record, shown_source(found.source)
                else:
                    record = reader.read(path, reads_bytes=not options.no_hash, report=bar.of(path), stop=stop)
                    source = None
            except Cancelled:
                raise
            except VaeManagerError as error:  # the others are inspected all the same
                failed.append((text, error))
            else:
                inspected.append(record)
                sources.append(source)
    records = reader.with_families(inspected, catalogue, reader.neighbours(local))
    published = {record.sha256 for record, source in zip(records, sources, strict=True) if source is not None}
    here = _files_by_hash(reader, published - {None})
    if options.json:
        rows = [
            {
                **_fields(record, judge(record, options), source),
                "here": list(map(str, here.get(record.sha256, ()))) if source is not None else None,
                **verification_fields(reader.verification_of(record)),
            }
            for record, source in zip(records, sources, strict=True)
        ]
        print_json([*rows, *({"path": text, **error_fields(problem)} for text, problem in failed)])
    else:
        for record, source in zip(records, sources, strict=True):
            answer, host = judge(record, options), HOSTS[options.host].name
            lines = _inspection_text(record, answer, host, reader.verification_of(record), source)
            if source is not None:
                lines[4:4] = [f"  You have these bytes already: {path}" for path in here.get(record.sha256, ())]
            print("\n".join(map(printable, lines)))
        for _, problem in failed:
            print_problem(problem)
    return worst_exit_status(problem for _, problem in failed)


def _vae_files(given: str) -> Sequence[str]:
    """Return the VAE files of a folder and its subfolders, which may be none; any other argument alone."""
    folder = local_path(given)
    if not is_folder(folder):
        return [given]
    files = [str(file.path) for file in scan([Folder(folder)], print_problem)]
    if not files:
        print_problem(f"No VAE files in {given}.")
    return files


def _files_by_hash(reader: LibraryReader, hashes: Set[str | None]) -> Mapping[str | None, Sequence[Path]]:
    """Return the files of the VAE folder by their stored hash, for these hashes; no file is read whole."""
    if not hashes:
        return {}
    found: dict[str | None, list[Path]] = {}
    for file in scan([Folder(default_folder())]):
        sha256 = reader.hashes.known(file.path)
        if sha256 in hashes:
            found.setdefault(sha256, []).append(file.path)
    return found


def _local_path(text: str, network: Network) -> Path | None:
    """Return the path that an argument of `inspect` means; None for a source elsewhere.

    A name that is missing in a folder of this machine is a path too, although it has the form of `OWNER/REPO/PATH`.
    """
    path = local_path(text)
    if "://" in text or (not is_there(path) and (":" in path.parts[0] or not is_folder(path.parent))):
        try:
            source = typed_source(text, endpoint=network.named_endpoint)
        except VaeManagerError:  # `_inspect_source` reports it
            return None
        return source.path if isinstance(source, LocalSource) else None
    return path


def _inspect_source(text: str, network: Network, stop: Event) -> RemoteInspection:
    try:
        source = typed_source(text, http_hosts=network.http_hosts, endpoint=network.named_endpoint)
    except WholeRepositoryError as whole:
        source = only_file(whole, network=network, stop=stop)
    return inspect_remote(source, network=network, stop=stop)


def _fields(record: FileRecord, answer: Verdict, source: str | None) -> dict[str, Any]:
    """Return the fields of JSON output; with a `source`, `path` is a proposed name and `sha256` only published."""
    prints, family = record.fingerprints, record.family
    return {
        "path": str(record.path),
        "source": source,
        "size": record.size,
        "sha256": record.sha256,
        "container": record.container,
        "layout": record.layout,
        "family": family.family,
        "family_why": family.why,
        "family_sure": family.sure,
        "family_candidates": list(family.candidates),
        "latent_channels": record.latent_channels,
        "dtype": record.dtype,
        "parameters": record.parameters,
        "has_encoder": record.has_encoder,
        "has_decoder": record.has_decoder,
        "prefix": record.prefix,
        "entry": record.entry.id if record.entry is not None else None,
        "weights_fingerprint": prints.weights if prints is not None else None,
        "encoder_fingerprint": prints.encoder if prints is not None else None,
        **verdict_fields(answer),
        "problems": [{"code": problem.code, "message": str(problem.message)} for problem in record.problems],
        "metadata": dict(record.metadata),
    }


# -- in words ------------------------------------------------------------------------------------------------------
def _inspection_text(
    record: FileRecord, answer: Verdict, host: str, found: Verification | None, source: str | None
) -> list[str]:
    """Return three sentences, the problem that the last verification found, then the details.

    With a `source`, the file is not on this machine, and its hash is only published.
    """
    details = [f"  {name + ':':<17} {value}" for name, value in _details(record, source) if value is not None]
    sentences = [_what(record, source), _whose(record.family), _can(answer, host)]
    if found is not None and found.reason is not None and str(found.reason) not in sentences[-1]:
        sentences.append(str(found.reason))
    return [source or str(record.path), *(f"  {message}" for message in sentences), *details]


def _what(record: FileRecord, source: str | None) -> str:
    if record.entry is not None and record.sha256 == record.entry.sha256:
        how = "byte for byte" if source is None else "by the hash that its server publishes"
        return f"It is {record.entry.name}, {how}."
    if record.entry is not None:
        return f"It has the weights of {record.entry.name}, in other bytes."
    parts = {(True, True): "a VAE", (True, False): "an encoder alone", (False, True): "a decoder alone"}
    what = parts.get((record.has_encoder, record.has_decoder))
    if record.layout == "checkpoint":
        return f"It is a whole checkpoint, with {what or 'no VAE'} in it."
    if what is None:
        return "It is no VAE."
    unknown = ", and its hash is not in the catalogue" if record.sha256 is not None else ""
    return f"It is {what} in the layout “{record.layout}”{unknown}."


def _whose(family: FamilyGuess) -> str:
    if family.family is not None and family.why is not None:
        label = FAMILIES[family.family].label
        if family.why in ("latent test", "yours by encoder"):
            return f"It was probably made for {label} ({WHY[family.why]})."
        return f"It was made for {label} ({WHY[family.why]})."
    if family.candidates:
        names = " or ".join(FAMILIES[id].label for id in family.candidates)
        return f"It was made for {names}: its shapes do not tell which."
    return "It is not known what it was made for."


def _can(answer: Verdict, host: str) -> str:
    obstacle = obstacle_of(answer)
    said = [answer.reason.message] if isinstance(answer, Refused | AskFirst) else []
    if obstacle is not None:
        said.append(msg("{obstacle} Convert it: python -m vae_manager convert IN OUT", obstacle=obstacle.message))
    return " ".join(map(str, said)) or f"{host} can load it as it is."


def _details(record: FileRecord, source: str | None) -> list[tuple[str, object]]:
    prints, count = record.fingerprints, record.parameters
    return [
        ("name here", record.path.name if source is not None else None),
        ("size", f"{record.size} bytes ({megabytes(record.size)})"),
        ("SHA-256" if source is None else "published hash", record.sha256),
        ("container", record.container),
        ("numbers", f"{count / 1e6:.1f} million, {record.dtype}" if count else record.dtype),
        ("latent channels", record.latent_channels),
        ("names begin with", record.prefix or None),
        ("weights", prints.weights if prints is not None else None),
        ("encoder", prints.encoder if prints is not None else None),
        *((f"“{_short(key)}”", _short(value)) for key, value in record.metadata.items()),
    ]


def _short(text: str) -> str:
    return text if len(text) <= 200 else f"{text[:200]}…"


def add_verify_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `verify`; without file names, it takes the folder's."""
    command.add_argument("files", nargs="*", type=Path, metavar="FILE", help="default: every VAE file of the folder")
    command.add_argument(
        "--numbers",
        action="store_true",
        help="fail if numpy is missing, without which NaN and infinite values are not found",
    )
    command.add_argument(
        "--keep",
        action="store_true",
        help="accept each FILE that has changed: its present bytes are those that it is compared with from now on",
    )
    add_data_argument(command)
    add_folder_argument(command)
    add_catalogue_argument(command)


def run_verify(options: argparse.Namespace) -> int:
    """Read each file whole, print the outcome, and store it for the library's lists.

    Returns the status of IntegrityError if any bytes are wrong, else that of the worst failure. Raises UsageError if
    `--numbers` cannot be honoured.
    """
    catalogue, folder = load_catalogue(options), folder_of(options) if options.files else existing_folder_of(options)
    has_numbers = can_check_for_nan()
    if options.numbers and not has_numbers:
        raise UsageError(msg("--numbers needs numpy, which is not installed here."))
    reader = LibraryReader(data_of(options, folder))
    if options.keep and not options.files:
        raise UsageError(msg("--keep needs the names of the files to keep."))
    history = History(reader.stores.folder / History.NAME)
    references = References(reader.hashes, references_of(history.entries()))
    paths = options.files or [file.path for file in scan([Folder(folder)])]
    outcomes = OutcomeList(json=options.json)
    found = []
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        for path in paths:
            with outcomes.of(path):
                last = reader.hashes.known(path)
                one = verify(path, catalogue, reader.hashes, has_numbers=has_numbers, references=references,
                             report=bar.of(path), stop=stop)  # fmt: skip
                if options.keep and one.sha256 is not None and can_be_kept(one, last):
                    keep(path, one.sha256, reader, history)
                    one = kept(one)
                found.append(one)
                reader.note(path, one)
                if one.error is not None:
                    raise one.error
                row = _row(path, one)
                outcomes.rows.append(row)
                if not options.json:
                    bar.print(printable(f"{row['verdict']:<10} {path}  {row['text']}"))
    if options.json:
        print_json(outcomes.rows)
    elif len(found) > 1:
        print(summary_of(found))
    elif not paths:
        print(printable(f"No VAE files in {folder}."))
    if any(not one.is_right and one.error is None for one in found):
        return IntegrityError.exit_status  # no error is worse than wrong bytes
    return worst_exit_status(outcomes.errors)


def _row(path: Path, one: Verification) -> dict[str, Any]:
    entry = one.entry.id if one.entry is not None else None
    return {
        "path": str(path),
        "sha256": one.sha256,
        "entry": entry,
        "verdict": one.outcome.value,
        "text": outcome_text(one),
    }


def add_convert_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `convert`; OUT may be a folder, which then gives the new file its name."""
    command.add_argument("source", type=Path, metavar="IN", help="a VAE in any layout, or a whole checkpoint")
    command.add_argument("target", type=Path, metavar="OUT", help="a new .safetensors file, or a folder for it")
    command.add_argument("--dtype", choices=list(DTYPES), help="the number format of the result (default: that of IN)")
    command.add_argument(
        "--layout",
        choices=["ldm", "diffusers"],
        default="ldm",
        help="the names of its tensors (default: ldm, the WebUI's)",
    )


def run_convert(options: argparse.Namespace) -> int:
    """Write the VAE of IN as a new file, or print the file of the folder OUT that is its conversion already.

    Returns 0. Raises UsageError if `--dtype` is given and numpy is missing; IN is never changed.
    """
    source, target = options.source, options.target
    if options.dtype is not None and importlib.util.find_spec("numpy") is None:
        raise UsageError(msg("--dtype needs numpy, which is not installed here."))
    hashes = HashStore()
    with stop_on_ctrl_c() as stop, reading_bar(options) as bar:
        report = bar.of(source)
        planned = plan(inspect(source), dtype=options.dtype, layout=options.layout)
        there = [file.path for file in scan([Folder(target)])] if is_folder(target) else [target]
        twin = find_twin(source, planned, there, hashes, report=report, stop=stop)
        if twin is not None:
            sha256 = sha256_of(twin, stop=stop)
            made = Converted(twin, sha256, twin.stat().st_size, planned.done)
        else:
            path = free_name(target, source, planned.done) if is_folder(target) else target
            made = convert(
                source, path, dtype=options.dtype, layout=options.layout, hashes=hashes, report=report, stop=stop
            )
    if options.json:
        fields = {"path": str(made.target), "sha256": made.sha256, "size": made.size, "done": list(made.done)}
        print_json({**fields, "source": str(source), "already_there": twin is not None})
    else:
        done = "; ".join(map(str, described(made.done)))
        how = "is there already, " if twin is not None else ""
        print(printable(f"{made.target}: {how}{megabytes(made.size)}, {done}, SHA-256 {made.sha256}"))
    return 0


NEEDED = {"torch": "torch", "numpy": "numpy", "PIL": "Pillow", "skimage": "scikit-image"}
"""Imported packages, and their names for installation."""
SHEET = "comparison.png"


def add_compare_options(command: argparse.ArgumentParser) -> None:
    """Add the options of `compare`; the `--vae` options keep their order, and one given twice counts once."""
    command.add_argument(
        "picture",
        type=Path,
        nargs="?",
        metavar="PICTURE",
        help="a PNG, JPEG or WEBP; with --webui, by default the picture that was generated last",
    )
    command.add_argument(
        "--vae",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        dest="vaes",
        help="a VAE; give the option once for each. With --webui, the name of one that it lists, or None for the "
        "checkpoint's own",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder for the pictures and the sheet"
    )
    command.add_argument("--device", default="cpu", help="the device of torch: cpu, cuda, mps (default: cpu)")


def run_compare(options: argparse.Namespace) -> int:
    """Encode and decode the picture by each VAE itself, write the results to `--out`, and print their metrics.

    A VAE that fails is a row with its error. Returns the status of IntegrityError if each of them fails, else 0. Raises
    UsageError if a package or the device is missing.
    """
    require_argument(options.picture, "PICTURE")
    require_packages()
    device = device_of(options.device)
    original = _opened(options.picture)
    with stop_on_ctrl_c() as stop:
        results = [_result(original, path, device, stop) for path in dict.fromkeys(options.vaes)]
    rows = _written(options, original, results)
    if options.json:
        print_json({"picture": str(options.picture), "sheet": str(options.out / SHEET), "results": rows})
    else:
        print_results(rows, options.out / SHEET)
    return IntegrityError.exit_status if all(result.decoded.pixels is None for _, result in results) else 0


def require_packages() -> None:
    """Raise UsageError if a package that a comparison needs is missing."""
    missing = [name for module, name in NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        names = " ".join(missing)
        raise UsageError(
            msg(
                "To compare, these packages are needed too: {names}. Run: pip install {names}",
                code="missing-packages",
                names=names,
            )
        )


def device_of(name: str) -> torch.device:
    """Return the device of that name, if a tensor can be made there. Raises UsageError."""
    import torch

    try:
        return torch.zeros(1, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise UsageError(
            msg("The device {device} cannot be used: {reason}", code="bad-device", device=name, reason=error)
        ) from error


def _opened(path: Path) -> Pixels:
    from ..compare.pictures import read_picture

    try:
        return read_picture(path)
    except FileNotFoundError as error:
        raise NotFoundError(msg("There is no file {path}.", code="no-such-file", path=path)) from error
    except OSError as error:
        raise IntegrityError(msg("{path} is not a picture that can be read.", code="bad-picture", path=path)) from error
    except IntegrityError as error:
        raise IntegrityError(msg("{path}: {problem}", code=error.code, path=path, problem=error.message)) from error


def _result(original: Pixels, path: Path, device: torch.device, stop: Event) -> tuple[Path, Result]:
    """Return the result of one file; an unusable file is a result too."""
    from ..compare import Decoded, Result
    from ..compare.metrics import compare, in_words, measure

    try:
        decoded = _decoded(original, path, device, stop)
    except VaeManagerError as error:
        if stop.is_set():
            raise
        decoded = Decoded(path.name, None, 0.0, error=error.message)
    if decoded.pixels is None:
        return path, Result(decoded)
    figures = compare(measure(original), measure(decoded.pixels))
    return path, Result(decoded, figures, in_words(figures))


def _decoded(original: Pixels, path: Path, device: torch.device, stop: Event) -> Decoded:
    from ..compare import Candidate, Decoded, Encoder
    from ..compare.comparison import decode_all
    from ..compare.standalone_vae import model_of

    try:
        model = model_of(path, device)
    except RuntimeError as error:  # of torch: no memory left on the device, for instance
        return Decoded(
            path.name,
            None,
            0.0,
            error=msg("This VAE cannot decode the picture ({error}).", code="cannot-decode", error=error),
        )
    [decoded] = decode_all(model, Encoder(original, each=False), [Candidate(path.name, lambda: None)], stop=stop)
    return decoded


# -- output ------------------------------------------------------------------------------------------------------------
def _written(
    options: argparse.Namespace, original: Pixels, results: Sequence[tuple[Path, Result]]
) -> list[dict[str, Any]]:
    """Write a PNG for each, and the sheet; return the rows of the report."""
    from ..compare.pictures import Labelled, png, sheet

    labelled = [Labelled(f"original: {options.picture.name}", original, [])]
    rows = []
    for number, (path, result) in enumerate(results, 1):
        rows.append(_result_fields(path, result))
        labelled.append(Labelled(path.name, result.decoded.pixels, _lines(result)))
        if result.decoded.pixels is not None:
            target = options.out / f"{number}-{path.stem}.png"
            write_bytes(target, png(result.decoded.pixels))
            rows[-1]["file"] = str(target)
    write_bytes(options.out / SHEET, sheet(options.picture.name, labelled))
    return rows


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file in a folder that is made if it is missing. Raises DiskError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DiskError(
            msg("{path} cannot be written: {reason}", code="not-writable", path=path, reason=error.strerror or error)
        ) from error


def _result_fields(path: Path, result: Result) -> dict[str, Any]:
    decoded = result.decoded
    return {
        "vae": str(path),
        "file": None,
        "figures": asdict(result.figures) if result.figures is not None else None,
        "words": [str(word) for word in result.findings],
        "seconds": round(decoded.seconds, 3),
        "peak_bytes": decoded.peak,
        "note": _text(decoded.note),
        "error": _text(decoded.error),
        "code": (decoded.error.code or None) if decoded.error is not None else None,
    }


def _lines(result: Result) -> list[str]:
    decoded, figures = result.decoded, result.figures
    if figures is None:
        return [str(decoded.error)]
    shown = [f"SSIM {figures.ssim:.4f}"] if figures.ssim is not None else []
    shown += [f"PSNR {figures.psnr:.1f} dB"] if figures.psnr is not None else []
    shown += [f"LPIPS {figures.lpips:.3f}"] if figures.lpips is not None else []
    shown += [f"{decoded.seconds:.2f} s"]
    shown += [megabytes(decoded.peak)] if decoded.peak is not None else []
    note = [str(decoded.note)] if decoded.note is not None else []
    return [", ".join(shown), ", ".join(str(word) for word in result.findings), *note]


def print_results(rows: Sequence[dict[str, Any]], sheet: Path) -> None:
    """Print a line for each VAE; a failure is a line on stderr."""
    for row in rows:
        if row["error"] is not None:
            print_problem(row["error"])
            continue
        figures = row["figures"] or {"ssim": None, "psnr": None}
        ssim = f"{figures['ssim']:.4f}" if figures["ssim"] is not None else "-"
        psnr = f"{figures['psnr']:.1f} dB" if figures["psnr"] is not None else "-"
        print(f"SSIM {ssim}  PSNR {psnr}  {row['vae']}: {', '.join(row['words'])}")
    if any(row["file"] is not None for row in rows):
        print(f"{sheet}: those that gave a picture, side by side")


def _text(message: Message | None) -> str | None:
    return str(message) if message is not None else None
