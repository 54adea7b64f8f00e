"""The stand-in behaves as the WebUI does: its rules, and the flaws that the extension has to live with."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from PIL import Image

from tests.host.asking import BAD, GOOD, OTHER, Picture, choose, write_vaes
from tests.host.fixtures import ROOT, NotStarted, WebUI, start_webui
from tests.host.probe import install_probe

pytestmark = pytest.mark.torch


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("webui")
    write_vaes(data / "models" / "VAE")
    install_probe(data)
    with start_webui(data, "--no-extension", "--api", "--step-seconds", "0.001", forked=False) as started:
        yield started


@pytest.fixture(autouse=True)
def base_vae(request: pytest.FixtureRequest) -> None:
    """Start each test from the checkpoint's own VAE; another good one goes in first, since that heals what a bad one
    left. It comes before a test and not after it: a test may be the first one of its WebUI, which starts with the
    setting "Automatic"."""
    if "webui" in request.fixturenames:
        started: WebUI = request.getfixturevalue("webui")
        for name in (OTHER, GOOD, "None"):
            started.call("/sdapi/v1/options", {"sd_vae": name})
        started.call("/probe")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_says_how_long_scripts_took(webui: WebUI) -> None:
    _, profile = webui.call("/internal/profile-startup")
    assert profile["records"]["load scripts/probe.py"] > 0
    assert "probe installed" in webui.log.read_text()


def test_unknown_names_are_named(webui: WebUI) -> None:
    _, facts = webui.call("/probe")
    assert set(facts["unknown"]) == {"Shared", "Options", "Namespace"}
    assert all("nonsense" in text for text in facts["unknown"].values())
    status, answer = webui.call("/sdapi/v1/txt2img", {"nonsense": 1})
    assert status == 422
    assert "nonsense" in json.dumps(answer)


def test_extension_folder_is_in_sys_path_only_while_scripts_load(webui: WebUI) -> None:
    _, facts = webui.call("/probe")
    assert facts["in_path_while_loading"]
    assert not facts["in_path_now"]
    assert "probe_late" in facts["late"]


def test_options_are_stored_at_once_and_saved(webui: WebUI) -> None:
    _, options = webui.call("/sdapi/v1/options")
    assert options["probe_number"] == 7
    assert webui.call("/sdapi/v1/options", {"probe_number": 8}) == (200, None)
    saved = json.loads((webui.data / "config.json").read_text(encoding="utf-8"))
    assert saved["probe_number"] == 8
    assert webui.call("/sdapi/v1/options", {"nonsense": 1})[0] == 500


def test_folders_of_pictures_lie_in_the_data_folder(webui: WebUI) -> None:
    _, facts = webui.call("/probe")
    folders = {name: folder for name, folder in facts["folders"].items() if folder}
    assert set(folders) == {"outdir_txt2img_samples", "outdir_img2img_samples", "outdir_save"}
    assert [name for name, folder in folders.items() if webui.data not in Path(folder).parents] == []


@pytest.mark.parametrize("writing", ["open('log.txt', 'w')", "os.mkdir('log')", "pathlib.Path('x').touch()"])
def test_nothing_is_written_into_its_own_folder(writing: str) -> None:
    code = f"import os, pathlib; from tests.host import disguise; disguise.become_the_webui([]); {writing}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert "PermissionError: the stand-in writes nothing into its own folder" in ended.stderr


def test_a_swap_changes_pixels_and_infotext(webui: WebUI) -> None:
    before = Picture(webui)
    choose(webui, GOOD)
    after = Picture(webui)
    assert "VAE" not in before.fields
    assert after.fields["VAE"] == GOOD
    assert after.pixels != before.pixels
    choose(webui, "None")
    assert Picture(webui).pixels == before.pixels


def test_infotext_is_in_the_png(webui: WebUI) -> None:
    picture = Picture(webui, save_images=True)
    assert picture.image.info["parameters"] == picture.infotext
    saved = sorted((webui.data / "outputs" / "txt2img-images").rglob("*.png"))[-1]
    assert Image.open(saved).info["parameters"] == picture.infotext
    assert picture.fields["Version"] == "v1.10.1"


def test_a_bad_file_leaves_a_mix_under_the_old_name(webui: WebUI) -> None:
    choose(webui, GOOD)
    good = Picture(webui)
    choose(webui, BAD)
    assert webui.call("/sdapi/v1/options")[1]["sd_vae"] == GOOD
    mixed = Picture(webui)
    assert mixed.fields["VAE"] == GOOD
    assert mixed.pixels != good.pixels
    assert not webui.call("/probe")[1]["hijacked"]
    assert Picture(webui, tiling=True).status == 500
    assert Picture(webui).status == 500
    choose(webui, GOOD)
    assert Picture(webui).pixels == mixed.pixels
    choose(webui, OTHER)
    choose(webui, GOOD)
    assert Picture(webui).pixels == good.pixels


def test_an_override_swaps_there_and_back(webui: WebUI) -> None:
    base = Picture(webui)
    overridden = Picture(webui, override_settings={"sd_vae": GOOD})
    assert overridden.fields["VAE"] == GOOD
    _, facts = webui.call("/probe")
    assert facts["seen"][-2:] == [["before_process", "None", None], ["process", GOOD, GOOD]]
    assert Picture(webui).pixels == base.pixels


def test_a_bad_override_is_an_error_and_breaks_later_pictures(webui: WebUI) -> None:
    base = Picture(webui)
    failed = Picture(webui, override_settings={"sd_vae": BAD})
    assert failed.status == 500
    assert failed.answer["error"] == "RuntimeError"
    assert Picture(webui).pixels != base.pixels


def test_an_unknown_name_is_saved_and_gives_the_base_vae(webui: WebUI) -> None:
    base = Picture(webui)
    choose(webui, GOOD)
    choose(webui, "nowhere.safetensors")
    assert webui.call("/sdapi/v1/options")[1]["sd_vae"] == "nowhere.safetensors"
    assert Picture(webui).pixels == base.pixels


def test_the_hash_of_an_older_file_is_that_of_the_newer_one(webui: WebUI) -> None:
    vaes = webui.data / "models" / "VAE"
    choose(webui, GOOD)
    assert Picture(webui).fields["VAE hash"] == sha256(vaes / GOOD)[:10]
    choose(webui, OTHER)
    assert Picture(webui).fields["VAE hash"] == sha256(vaes / GOOD)[:10]


def test_arguments_of_always_visible_scripts_come_through_the_api(webui: WebUI) -> None:
    assert Picture(webui).fields["Probe"] == "nothing"
    assert Picture(webui, alwayson_scripts={"Probe": {"args": ["seen"]}}).fields["Probe"] == "seen"


def test_a_checkpoint_switch_changes_the_picture(webui: WebUI) -> None:
    first = Picture(webui)
    titles = [model["title"] for model in webui.call("/sdapi/v1/sd-models")[1]]
    second = next(title for title in titles if title.startswith("demo-b"))
    assert webui.call("/sdapi/v1/options", {"sd_model_checkpoint": second}) == (200, None)
    assert Picture(webui).fields["Model"] == "demo-b"
    assert webui.call("/sdapi/v1/options", {"sd_model_checkpoint": titles[0]}) == (200, None)
    assert Picture(webui).pixels == first.pixels


def test_reload_ui_keeps_packages_and_executes_scripts_again(webui: WebUI) -> None:
    choose(webui, GOOD)
    picture = Picture(webui)
    before = webui.call("/probe")[1]
    seen = webui.log.stat().st_size
    webui.call("/probe/reload", {})
    webui.wait_until_ready(seen)
    after = webui.call("/probe")[1]
    assert (after["loads"], after["apps"]) == (before["loads"] + 1, before["apps"] + 1)
    assert Picture(webui).pixels == picture.pixels


def test_an_override_sticks_while_config_json_lacks_the_option(tmp_path: Path) -> None:
    write_vaes(tmp_path / "models" / "VAE")
    (tmp_path / "config.json").write_text('{"samples_save": false}', encoding="utf-8")
    with start_webui(tmp_path, "--no-extension", "--nowebui", "--api", "--step-seconds", "0.001") as webui:
        Picture(webui, override_settings={"sd_vae": GOOD})
        assert Picture(webui).fields["VAE"] == GOOD


def test_flags_are_honoured(tmp_path: Path) -> None:
    write_vaes(tmp_path / "models" / "VAE")
    flags = ("--vae-path", str(tmp_path / "models" / "VAE" / GOOD), "--no-hashing", "--listen")
    frozen = ("--freeze-specific-settings", "sd_vae, tiling", "--nowebui", "--api")
    with start_webui(tmp_path, "--no-extension", "--step-seconds", "0.001", *flags, *frozen) as webui:
        picture = Picture(webui)
        assert picture.fields["VAE"] == GOOD
        assert "VAE hash" not in picture.fields
        assert webui.call("/sdapi/v1/options", {"sd_vae": OTHER})[1]["error"] == "AssertionError"
        assert webui.call("/sdapi/v1/cmd-flags")[1]["disable_extension_access"] is True


def test_an_unknown_flag_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotStarted, match="--nonsense"):
        start_webui(tmp_path, "--no-extension", "--nonsense")
