"""No code of a hostile pickle runs, wherever it stands in a file, and nothing is imported for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from vae_manager.errors import BrokenFileError
from vae_manager.files import inspect, read_contents

from .gadgets import GADGETS, Gadget
from .torch_files import MAGIC, Made, as_legacy, as_zip, mapping, state_dict

FIRST, LAST = b"\x80\x04", b"."


def _in_a_dict(code: bytes) -> bytes:
    return mapping({"weight": code})


PLACES: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda code: as_zip(Made(FIRST + code + LAST, {})),
    "zip, below a name": lambda code: as_zip(Made(FIRST + _in_a_dict(code) + LAST, {})),
    "legacy": lambda code: as_legacy(Made(FIRST + code + LAST, {})),
    "legacy, facts": lambda code: as_legacy(state_dict({"a": (1,)}), facts=code),
    "legacy, keys": lambda code: as_legacy(state_dict({"a": (1,)}), keys=code),
    "legacy, protocol": lambda code: MAGIC + FIRST + code + LAST,
    "plain": lambda code: FIRST + code + LAST,
    "legacy first, a harmless zip at its end": lambda code: (
        as_legacy(Made(FIRST + code + LAST, {})) + as_zip(state_dict({"a": (1,)}))
    ),
}


class Watch:
    """An import hook that lets nothing pass."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        self.asked.append(name)
        raise AssertionError(f"{name} was imported")


@pytest.fixture
def nothing_is_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    """Fails where anything is, be it that it is there already or not."""
    for data in (PLACES["zip"](b"N"), PLACES["plain"](b"N"), PLACES["zip"](GADGETS[0].code)):
        (tmp_path / "warm-up").write_bytes(data)
        str(inspect(tmp_path / "warm-up").problem)
    monkeypatch.setenv("VAE_MARKER", str(tmp_path / "marker"))
    before, watch = set(sys.modules), Watch()
    sys.meta_path.insert(0, watch)
    try:
        yield watch
    finally:
        sys.meta_path.remove(watch)
    assert set(sys.modules) == before
    assert watch.asked == []
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize("gadget", GADGETS, ids=lambda gadget: gadget.id)
@pytest.mark.usefixtures("nothing_is_imported")
def test_it_is_refused_and_nothing_runs(tmp_path: Path, gadget: Gadget) -> None:
    path = tmp_path / "x.vae.pt"
    for place, made in PLACES.items():
        path.write_bytes(made(gadget.code))
        found = inspect(path)
        assert found.problems and not found.tensors, place
        assert [problem.code for problem in found.problems] == ["unsafe-pickle"], place
        with pytest.raises(BrokenFileError) as caught:
            read_contents(path)
        assert caught.value.code == "unsafe-pickle"


SAYS_WHAT = [gadget for gadget in GADGETS if gadget.id.startswith(("os.", "posix.", "subprocess.", "torch.", "numpy."))]


@pytest.mark.parametrize("gadget", SAYS_WHAT, ids=lambda gadget: gadget.id)
def test_it_is_said_what_would_have_run(tmp_path: Path, gadget: Gadget) -> None:
    path = tmp_path / "x.vae.pt"
    path.write_bytes(PLACES["zip"](gadget.code))
    [problem] = inspect(path).problems
    module = gadget.id.partition(".")[0]
    assert problem.code == "unsafe-pickle"
    assert str(problem.message).startswith(f"x.vae.pt asks for {module}.")


def test_a_name_cannot_spoil_the_page(tmp_path: Path) -> None:
    path = tmp_path / "x.vae.pt"
    path.write_bytes(PLACES["zip"](b"c" + b"a\x1b[31m\x00\xe2\x80\xae" * 30 + b"\nb\n"))
    text = str(inspect(path).problem)
    assert text.isprintable() and len(text) < 600


RUN = """
import io, os, pickle, sys
for number, code in enumerate(eval(sys.stdin.read())):
    os.environ["VAE_MARKER"] = os.path.join(sys.argv[1], str(number))
    try:
        value = pickle.loads(b"\\x80\\x04" + code + b".")
        getattr(value, "wait", getattr(value, "read", lambda: None))()
    except BaseException:
        pass
"""


@pytest.mark.skipif(os.name == "nt", reason="they use a POSIX shell")
def test_the_gadgets_are_real(tmp_path: Path) -> None:
    """Python's own unpickler, in a process of its own, runs those that are said to work."""
    working = [gadget for gadget in GADGETS if gadget.works]
    codes = repr([gadget.code for gadget in working])
    subprocess.run([sys.executable, "-c", RUN, str(tmp_path)], input=codes, text=True, check=True, capture_output=True)
    assert [gadget.id for number, gadget in enumerate(working) if not (tmp_path / str(number)).exists()] == []
    assert len(working) >= 20
