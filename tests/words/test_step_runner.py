"""The run of steps says truthfully what failed, whatever runs beside it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests import environments, step_runner
from tests.environments import Environment
from tests.step_runner import SECOND_TRIES, StepRunner
from tests.steps import Step


class _Here(Environment):
    """The Python of this process."""

    @property
    def python(self) -> Path:
        return Path(sys.executable)


class _Prepared(step_runner.Preparation):
    def wait_for(self, environment: Environment) -> None:
        pass


HERE = _Here("here", ())


@pytest.fixture(autouse=True)
def _own_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(environments, "ROOT", tmp_path)
    monkeypatch.setattr(step_runner, "CACHES", tmp_path / "caches")
    monkeypatch.setattr(step_runner, "OUTPUTS", tmp_path / "outputs")
    monkeypatch.setattr(step_runner, "Preparation", lambda environments, index: _Prepared([], index))


def test_file(folder: Path, name: str, text: str) -> Step:
    file = folder / f"test_{name}.py"
    file.write_text(text, encoding="utf-8")
    return Step(name, HERE, ["-m", "pytest", "-q", "--rootdir", str(folder), str(file)])


test_file.__test__ = False  # type: ignore[attr-defined]


def run(*steps: Step, at_once: int = 1) -> list[str]:
    return StepRunner().run(steps, at_once)


def test_all_that_failed_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    good = test_file(tmp_path, "good", "def test_a(): pass")
    fine = test_file(tmp_path, "fine", "def test_a(): pass")
    bad = test_file(tmp_path, "bad", "def test_a(): assert 0")
    broken = Step("broken", HERE, ["-c", "import sys; print('as it is'); sys.exit(3)"])
    assert run(good, bad, broken, fine, at_once=2) == ["bad", "broken"]
    shown = capfd.readouterr().out
    assert shown.count("1 passed") == 2
    assert "as it is" in shown
    assert "good: passed" in shown
    assert "bad: FAILED" in shown


def test_a_test_that_fails_once_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "mark"
    once = f"import pathlib\ndef test_a():\n m = pathlib.Path({str(mark)!r})\n s = m.exists()\n m.touch()\n assert s"
    assert run(test_file(tmp_path, "once", once)) == []
    assert "FAILED ONCE, PASSED AT A SECOND TRY" in capfd.readouterr().out


def test_many_failures_are_not_tried_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    text = "\n".join(f"def test_{number}(): open({str(mark)!r}, 'a').write('.'); assert 0" for number in range(6))
    assert run(test_file(tmp_path, "many", text)) == ["many"]
    assert len(mark.read_text(encoding="utf-8")) == 6 > SECOND_TRIES


def test_an_old_record_of_failures_counts_for_nothing(tmp_path: Path) -> None:
    assert run(test_file(tmp_path, "one", "def test_a(): assert 0")) == ["one"]
    (tmp_path / "test_one.py").write_text("def test_a(): pass", encoding="utf-8")
    assert run(Step("one", HERE, ["-c", "raise SystemExit(1)"])) == ["one"]
