"""Which Python the stand-in WebUI gets."""

from __future__ import annotations

import sys

import pytest

import tasks
from tests import environments
from tests.environments import NoPinnedPython, pinned_python


def test_this_python_where_the_pins_are_published_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PINNED_PYTHONS", (sys.version_info[:2],))
    assert pinned_python() == sys.executable


def test_another_one_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environments, "PINNED_PYTHONS", ((3, 1), (3, 2)))
    monkeypatch.setattr(environments, "python_of", lambda *version: "other" if version == (3, 2) else None)
    assert pinned_python() == "other"


def test_none_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(environments, "PINNED_PYTHONS", ((3, 1),))
    monkeypatch.setattr(environments, "python_of", lambda *version: None)
    with pytest.raises(NoPinnedPython):
        pinned_python()
    monkeypatch.setattr(tasks, "prepare", lambda *given, **named: pinned_python())
    monkeypatch.setattr(sys, "argv", ["tasks.py", "demo", "--no-browser"])
    assert tasks.main() == 2
    assert "3.1" in capsys.readouterr().out
