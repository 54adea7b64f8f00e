"""The folders of other programs: by the setting, and by the flags of Forge and Neo."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from vae_manager.webui.hosts import host_values
from vae_manager.webui.hosts.common import options
from vae_manager.webui.hosts.common.adapter import FamilyWebUI


class OneHost(SimpleNamespace):
    """What the property of a WebUI's adapter looks at."""

    shared_with_others = False
    other_folders = FamilyWebUI.other_folders
    _other_folders = FamilyWebUI.__dict__["_other_folders"]


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The WebUI's options and flags."""
    monkeypatch.delenv("VAE_MANAGER_ALSO", raising=False)
    values: dict[str, Any] = {}
    monkeypatch.setattr(host_values, "option", lambda name, default: values.get(name, default))
    monkeypatch.setattr(host_values, "flag", lambda name, default=None: values.get(name, default))
    return values


def folders(host: OneHost) -> list[Path]:
    return list(cast(Any, host).other_folders())


def test_none_by_default(written: dict[str, Any]) -> None:
    assert folders(OneHost()) == []


def test_a_variable(written: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAE_MANAGER_ALSO", os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")]))
    assert folders(OneHost()) == [tmp_path / "a", tmp_path / "b"]


def test_one_a_line(written: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    written[options.OTHER_FOLDERS] = f"  {tmp_path / 'a, b'} \n\n~/ComfyUI/models/vae\r\nrelative\n"
    assert folders(OneHost()) == [tmp_path / "a, b", tmp_path / "ComfyUI" / "models" / "vae"]


def test_the_flags_of_forge(written: dict[str, Any], tmp_path: Path) -> None:
    written["forge_ref_a1111_home"] = tmp_path / "a1111"
    written["forge_ref_comfy_home"] = str(tmp_path / "ComfyUI" / "models")
    assert tmp_path / "a1111" / "models" / "VAE" in folders(OneHost())
    assert tmp_path / "ComfyUI" / "models" / "vae" in folders(OneHost())


def test_on_a_shared_webui_those_of_its_start_count(written: dict[str, Any], tmp_path: Path) -> None:
    host = OneHost(shared_with_others=True)
    written[options.OTHER_FOLDERS] = str(tmp_path / "owner's")
    assert folders(host) == [tmp_path / "owner's"]
    written[options.OTHER_FOLDERS] = str(tmp_path / "somebody's")
    assert folders(host) == [tmp_path / "owner's"]
