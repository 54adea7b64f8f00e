"""The extension's flags on a running stand-in, on both generations of gradio."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.admission.conftest import flags, prepare
from tests.admission.programs import DATA, SHA256, get, until
from tests.host import gradios
from tests.host.asking import BAD, GOOD, Picture
from tests.host.fixtures import start_webui
from tests.hub import Hub

pytestmark = pytest.mark.torch


def test_a_declared_set_comes_from_the_mirror_of_the_flag(tmp_path: Path, hub: Hub) -> None:
    prepare(tmp_path)
    declared = tmp_path / "the set.yaml"
    declared.write_text(f"- {{source: 'hub:me/vaes/mine.safetensors', sha256: {SHA256}}}", encoding="utf-8")
    (tmp_path / "config.json").write_text(json.dumps({"vae_manager_endpoint": "http://127.0.0.1:9"}), encoding="utf-8")
    arguments = ("--vae-manager-sync", str(declared), "--vae-manager-endpoint", hub.endpoint)
    with start_webui(tmp_path, *flags(), *arguments) as started:
        until(lambda: [one["state"] for one in get(started, "downloads")] == ["done"])
        assert (tmp_path / "models" / "VAE" / "mine.safetensors").read_bytes() == DATA
        assert "mine.safetensors" in [one["name"] for one in get(started, "vaes")]


def test_the_guards_are_off(tmp_path: Path) -> None:
    prepare(tmp_path)
    with start_webui(tmp_path, *flags(), "--vae-manager-no-guards") as started:
        assert Picture(started, override_settings={"sd_vae": GOOD}).status == 200
        option = "forge_additional_modules" if gradios.IS_4 else "sd_vae"
        started.call("/sdapi/v1/options", {option: [BAD] if gradios.IS_4 else BAD})
        Picture(started)
        now = get(started, "status")
        is_unchecked = now["choice"] == BAD if gradios.IS_4 else now["refused"] is None
        assert is_unchecked, "a guard has looked at the file before the WebUI"
