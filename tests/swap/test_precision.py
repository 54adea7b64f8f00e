"""A VAE that gives NaN is named, and the precision that it cost ends with it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

pytest.importorskip("torch")
pytest.importorskip("gradio")

from safetensors.torch import load_file, save_file

from tests.host.asking import GOOD, OTHER, Picture, choose, write_vaes
from tests.host.data import make_data_dir
from tests.host.fixtures import WebUI, start_webui
from tests.host.watch import install_watch
from tests.vaes import BASE
from tests.wording import says

pytestmark = pytest.mark.torch

LOUD = "loud.safetensors"
"""Its weights are finite, what it makes of them in 16 bits is not."""


@pytest.fixture(scope="module")
def webui(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebUI]:
    data = tmp_path_factory.mktemp("precision")
    folder = data / "models" / "VAE"
    write_vaes(folder)
    weights = load_file(BASE)
    weights["decoder.conv_in.weight"] *= 30000 / weights["decoder.conv_in.weight"].abs().max()
    save_file(weights, folder / LOUD)
    make_data_dir(data, ["demo-a", "demo-b"])
    install_watch(data)
    with start_webui(data, "--api", "--half", "--step-seconds", "0.001") as started:
        yield started


def dtype(webui: WebUI) -> str:
    return str(webui.call("/watch")[1]["dtype_vae"])


def status(webui: WebUI) -> str:
    return str(webui.call("/vae-manager/state")[1])


def test_the_precision_goes_back_once_another_vae_is_chosen(webui: WebUI) -> None:
    choose(webui, GOOD)
    good = Picture(webui).pixels
    choose(webui, LOUD)
    loud = Picture(webui)
    assert (loud.status, loud.fields["VAE"]) == (200, LOUD)
    assert dtype(webui) == "torch.float32"
    assert Picture(webui).pixels == loud.pixels
    assert says(status(webui), "nan-until-changed", vae=LOUD, before="fp16", now="fp32")
    choose(webui, GOOD)
    assert dtype(webui) == "torch.float16"
    assert Picture(webui).pixels == good
    assert not says(status(webui), "nan-until-changed")
    choose(webui, LOUD)
    assert Picture(webui).pixels == loud.pixels
    choose(webui, OTHER)
    assert dtype(webui) == "torch.float16"


def test_where_the_webui_may_not_change_it_the_vae_is_named(webui: WebUI) -> None:
    webui.call("/sdapi/v1/options", {"auto_vae_precision": False, "vae_manager_rescue": False})
    choose(webui, LOUD)
    broken = Picture(webui)
    assert broken.status == 500
    assert says(broken.answer["errors"], "nan-in-dtype", vae=LOUD, dtype="fp16")
    choose(webui, GOOD)
    assert Picture(webui).status == 200
    webui.call("/sdapi/v1/options", {"auto_vae_precision": True, "vae_manager_rescue": True})


def test_a_rescue_changes_no_precision(webui: WebUI) -> None:
    webui.call("/sdapi/v1/options", {"auto_vae_precision": False})
    choose(webui, GOOD)
    choose(webui, LOUD)
    rescued = [Picture(webui) for _ in range(2)]
    assert [(one.status, one.fields["VAE"]) for one in rescued] == [(200, LOUD)] * 2
    assert dtype(webui) == "torch.float16"
    assert says(status(webui), "rescued", vae=LOUD, before="fp16", by=LOUD, now="fp32")
    webui.call("/sdapi/v1/options", {"auto_vae_precision": True})
    assert Picture(webui).pixels == rescued[0].pixels
    assert dtype(webui) == "torch.float32"
    choose(webui, GOOD)


def test_a_checkpoint_begins_in_the_usual_precision(webui: WebUI) -> None:
    """Its own VAE is Built-in too, as that of the last checkpoint may have been, and has given no NaN."""
    webui.call("/sdapi/v1/options", {"sd_vae": "None", "sd_model_checkpoint": "demo-b"})
    expected = Picture(webui).pixels
    card = webui.data / "models" / "Stable-diffusion" / "demo-a.json"
    card.write_text(json.dumps({"vae": LOUD}), encoding="utf-8")
    try:
        webui.call("/sdapi/v1/options", {"sd_vae": "Automatic", "sd_model_checkpoint": "demo-a"})
        assert Picture(webui).fields["VAE"] == LOUD
        assert dtype(webui) == "torch.float32"
        webui.call("/sdapi/v1/options", {"sd_model_checkpoint": "demo-b"})
        assert dtype(webui) == "torch.float16"
        assert not says(status(webui), "nan-until-changed")
        assert Picture(webui).pixels == expected
    finally:
        card.unlink()
        webui.call("/sdapi/v1/options", {"sd_vae": "None", "sd_model_checkpoint": "demo-a"})
