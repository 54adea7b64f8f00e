"""Command `compare`: each VAE encodes and decodes a picture, and the result is compared with the original."""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DiskError, IntegrityError, NotFoundError, UsageError, VaeManagerError
from ..messages import Message, megabytes, msg
from .shared import print_json, print_problem, stop_on_ctrl_c

if TYPE_CHECKING:
    from threading import Event

    import torch

    from ..compare import Decoded, Result
    from ..compare.comparison_store import Pixels

NEEDED = {"torch": "torch", "numpy": "numpy", "PIL": "Pillow", "skimage": "scikit-image"}
"""Imported packages, and their names for installation."""
SHEET = "comparison.png"


def add_compare_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("picture", type=Path, metavar="PICTURE", help="a PNG, JPEG or WEBP")
    command.add_argument(
        "--vae",
        type=Path,
        action="append",
        required=True,
        metavar="FILE",
        dest="vaes",
        help="a VAE; give the option once for each",
    )
    command.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="the folder for the pictures and the sheet"
    )
    command.add_argument("--device", default="cpu", help="the device of torch: cpu, cuda, mps (default: cpu)")


def run_compare(options: argparse.Namespace) -> int:
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
    device = _device(options.device)
    original = _opened(options.picture)
    with stop_on_ctrl_c() as stop:
        results = [_result(original, path, device, stop) for path in dict.fromkeys(options.vaes)]
    rows = _written(options, original, results)
    if options.json:
        print_json({"picture": str(options.picture), "sheet": str(options.out / SHEET), "results": rows})
    else:
        _print(rows, options.out / SHEET)
    return IntegrityError.exit_status if all(result.decoded.pixels is None for _, result in results) else 0


def _device(name: str) -> torch.device:
    """Return the device of that name, if a tensor can be made there."""
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
        return Decoded(path.name, None, 0.0, error=msg("This VAE cannot decode the picture ({error}).", error=error))
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
        rows.append(_row(path, result))
        labelled.append(Labelled(path.name, result.decoded.pixels, _lines(result)))
        if result.decoded.pixels is not None:
            target = options.out / f"{number}-{path.stem}.png"
            _write(target, png(result.decoded.pixels))
            rows[-1]["file"] = str(target)
    _write(options.out / SHEET, sheet(options.picture.name, labelled))
    return rows


def _write(path: Path, content: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    except OSError as error:
        raise DiskError(
            msg("{path} cannot be written: {reason}", code="not-writable", path=path, reason=error.strerror or error)
        ) from error


def _row(path: Path, result: Result) -> dict[str, Any]:
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


def _print(rows: Sequence[dict[str, Any]], sheet: Path) -> None:
    for row in rows:
        if row["error"] is not None:
            print_problem(row["error"])
            continue
        figures = row["figures"]
        ssim = f"{figures['ssim']:.4f}" if figures["ssim"] is not None else "-"
        psnr = f"{figures['psnr']:.1f} dB" if figures["psnr"] is not None else "-"
        print(f"SSIM {ssim}  PSNR {psnr}  {row['vae']}: {', '.join(row['words'])}")
    if any(row["file"] is not None for row in rows):
        print(f"{sheet}: those that gave a picture, side by side")


def _text(message: Message | None) -> str | None:
    return str(message) if message is not None else None
