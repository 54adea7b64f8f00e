"""Unexpected errors are caught at the error boundary: recorded once, named in the page, and the WebUI continues."""

from __future__ import annotations

import logging
from html import unescape
from pathlib import Path
from types import MethodType, ModuleType
from typing import Any, NoReturn, Protocol

import pytest

from tests.webui.host import PlainHost
from vae_manager.choice import AUTOMATIC
from vae_manager.errors import RefusedError
from vae_manager.messages import msg
from vae_manager.service import Service
from vae_manager.webui.faults import FAULTS, MAX_FAULTS, Faults, is_boundary
from vae_manager.webui.hosts.fallbacks import HOST_ACTS, HOST_READS, with_fallbacks
from vae_manager.webui.hosts.host_values import Permission
from vae_manager.webui.ui.page import Page
from vae_manager.webui.ui.page_handlers import show_in_quick_settings

FUNCTION = msg("Looking at {what}", what="something")


@pytest.fixture(autouse=True)
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """The process's own, empty before and after each test."""
    monkeypatch.setattr(FAULTS, "_faults", {})
    return FAULTS


class Broken(PlainHost):
    """A host that raises what no adapter expects."""

    def __init__(self, folder: Path, *broken: str) -> None:
        super().__init__(folder)
        self.broken = broken

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name not in super().__getattribute__("__dict__").get("broken", ()):
            return found

        def lack(*_: Any, **__: Any) -> None:
            raise AttributeError(f"the WebUI has no {name}")

        return MethodType(lack, self) if callable(found) else lack()


def fail() -> NoReturn:
    raise AttributeError("cmd_opts has no attribute")


# -- recording -------------------------------------------------------------------------------------------------------
def test_a_fault_is_recorded_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults()
    wrapped = faults.wrap(fail, FUNCTION, lambda: "instead")
    with caplog.at_level(logging.ERROR):
        assert [wrapped() for _ in range(12)] == ["instead"] * 12
    (fault,) = faults.all()
    assert (fault.count, fault.function) == (12, FUNCTION)
    assert "AttributeError" in fault.reason
    assert [record.exc_info is not None for record in caplog.records] == [True, False]


def test_two_faults_of_one_function_are_two() -> None:
    faults = Faults()
    for error in (KeyError("a"), AttributeError("b")):
        faults.record(FUNCTION, error)
    assert len(faults.all()) == 2


def test_faults_are_bounded() -> None:
    faults = Faults()
    for number in range(MAX_FAULTS + 10):
        faults.record(msg("Function {number}", number=number), ValueError())
    assert len(faults.all()) == MAX_FAULTS


def test_interrupts_go_through() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Faults().wrap(interrupted, FUNCTION)()


def test_a_boundary_is_recognisable() -> None:
    assert is_boundary(Faults().wrap(fail, FUNCTION))
    assert not is_boundary(fail)


# -- the host as the page sees it --------------------------------------------------------------------------------------
def members() -> set[str]:
    from vae_manager.webui.hosts.host import Host

    return {name for part in Host.__bases__ for name in vars(part) if not name.startswith("_") and part is not Protocol}


def test_each_member_of_a_host_has_a_fallback_or_refuses() -> None:
    assert HOST_READS.keys() | HOST_ACTS.keys() == members()
    assert not HOST_READS.keys() & HOST_ACTS.keys()


@pytest.mark.parametrize("name", sorted({*HOST_READS, *HOST_ACTS} - {"data_folder"}))
def test_the_state_answers_whatever_the_host_lacks(tmp_path: Path, name: str, faults: Faults) -> None:
    host = Broken(tmp_path)
    page = Page(with_fallbacks(host), Service(host.data_folder))
    host.broken = (name,)
    state = page.state({}, library=("", ""), comparison=("", ""))
    assert {"titles", "regions", "sync", "active", "jobs", "stamp"} <= state.keys()
    for fault in faults.all():
        assert str(fault.function) in unescape(state["regions"]["status"])
        assert name in fault.reason


def test_a_state_that_cannot_be_read_shows_the_fault(
    page: Page, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    monkeypatch.setattr("vae_manager.webui.ui.page.read_facts", lambda *_: fail())
    state = page.state({})
    assert "AttributeError" in state["regions"]["status"]
    assert len(faults.all()) == 1


def test_what_acts_refuses_and_what_is_refused_stays_so(tmp_path: Path, faults: Faults) -> None:
    host = Broken(tmp_path)
    safe = with_fallbacks(host)
    host.refused[Permission.CHOOSE] = msg("Not here.")
    assert safe.refusal(Permission.CHOOSE) == host.refused[Permission.CHOOSE]
    assert faults.all() == []
    host.broken = ("choose", "refusal", "choice")
    with pytest.raises(RefusedError):
        safe.choose(AUTOMATIC, lambda: True)
    assert safe.refusal(Permission.CHOOSE) is not None  # what cannot be read is not allowed
    assert safe.choice() == AUTOMATIC


# -- quick settings ----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("on", [True, False])
def test_a_list_that_cannot_be_read_is_never_written(tmp_path: Path, on: bool) -> None:
    host = Broken(tmp_path)
    mine = list(host.quick)
    host.broken = ("quick_settings",)
    with pytest.raises(RefusedError):
        show_in_quick_settings(with_fallbacks(host), on=on)
    assert host.quick == mine


# -- patches -----------------------------------------------------------------------------------------------------------
@pytest.fixture
def patching(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module, over the stand-in's registry of patches."""
    import importlib
    import sys

    source = Path(__file__).parents[1] / "host" / "webui" / "modules" / "patches.py"
    registry = ModuleType("modules.patches")
    exec(source.read_text(encoding="utf-8"), vars(registry))
    package = ModuleType("modules")
    package.patches = registry  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "modules", package)
    monkeypatch.setitem(sys.modules, "modules.patches", registry)
    name = "vae_manager.webui.hosts.common.patches"
    monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module(name)
    sys.modules.pop(name, None)


class Place:
    """A module of the WebUI."""

    def __init__(self) -> None:
        self.called: list[str] = []

    def load(self, file: str) -> str:
        self.called.append(file)
        if file == "broken":
            raise OSError("theirs")
        return f"the WebUI's {file}"


def patched(patching: Any, make: Any, fall_back: Any = lambda original: original) -> Place:
    place = Place()
    patching.install(None, [patching.Patch(place, "load", make, fall_back)])
    return place


def test_a_fault_before_anything_was_done_leaves_the_work_to_the_webui(patching: Any, faults: Faults) -> None:
    place = patched(patching, lambda host, original: lambda file: fail())
    assert place.load("a") == "the WebUI's a"
    assert (place.called, len(faults.all())) == (["a"], 1)


def test_a_fault_after_the_webuis_own_keeps_its_result(patching: Any, faults: Faults) -> None:
    place = patched(patching, lambda host, original: lambda file: (original(file), fail()))
    assert place.load("a") == "the WebUI's a"
    assert (place.called, len(faults.all())) == (["a"], 1)


def test_a_refusal_goes_through(patching: Any, faults: Faults) -> None:
    def refuse(file: str) -> None:
        raise RefusedError(msg("No."))

    place = patched(patching, lambda host, original: refuse)
    with pytest.raises(RefusedError):
        place.load("a")
    assert (place.called, faults.all()) == ([], [])


def test_the_webuis_own_error_goes_through(patching: Any, faults: Faults) -> None:
    place = patched(patching, lambda host, original: original)
    with pytest.raises(OSError, match="theirs"):
        place.load("broken")
    assert (place.called, faults.all()) == (["broken"], [])


def test_a_fault_of_ours_over_an_error_of_the_webui_gives_that_error(patching: Any, faults: Faults) -> None:
    def make(host: Any, original: Any) -> Any:
        def load(file: str) -> None:
            try:
                original(file)
            except OSError:
                fail()

        return load

    place = patched(patching, make)
    with pytest.raises(OSError, match="theirs"):
        place.load("broken")
    assert (place.called, len(faults.all())) == (["broken"], 1)


@pytest.mark.parametrize("file", ["vae.pt", "vae.ckpt", "vae.bin", "VAE.PT", "vae", "vae.safetensors.pt"])
def test_no_pickle_is_left_to_the_webui(patching: Any, file: str) -> None:
    def fall_back(original: Any) -> Any:
        def load(path: str) -> Any:
            patching.refuse_pickles(path)
            return original(path)

        return load

    place = patched(patching, lambda host, original: lambda path: fail(), fall_back)
    with pytest.raises(RefusedError):
        place.load(file)
    assert place.called == []
    assert place.load("vae.safetensors") == "the WebUI's vae.safetensors"


def test_one_patch_that_cannot_be_applied_leaves_the_others(patching: Any, faults: Faults) -> None:
    place = Place()
    wanted = [
        patching.Patch(place, "no_such_function", lambda host, original: original),
        patching.Patch("modules.no_such_module:Class", "load", lambda host, original: original),
        patching.Patch(place, "load", lambda host, original: lambda file: "ours"),
    ]
    patching.install(None, wanted)
    assert place.load("a") == "ours"
    assert len(faults.all()) == 2


def test_what_was_patched_can_be_taken_back(patching: Any) -> None:
    def make(host: Any, original: Any) -> Any:
        return lambda file: "ours"

    place = Place()
    wanted = [patching.Patch(place, "load", make)]
    patching.install(None, wanted)
    import sys

    patching.remove(sys.modules[__name__], wanted)
    assert place.load("a") == "the WebUI's a"
