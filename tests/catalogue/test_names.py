"""Names of files: which can be used, and which is proposed."""

from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.failing import fails_with
from vae_manager.catalogue import CivitaiSource, HttpsSource, HubSource, Source, is_vae_file_name, safe_file_name
from vae_manager.catalogue.file_names import listed_name, proposed_file_name
from vae_manager.errors import RefusedError, UsageError


@pytest.mark.parametrize(
    "name", ["a.safetensors", "AAA Anime VAE SDXL v1.safetensors", "模型.vae.pt", "con-fix.pt", "com10.pt"]
)
def test_names_that_can_be_used(name: str) -> None:
    assert safe_file_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "...", " ", "a/b.pt", "a\\b.pt", "../a.pt", "C:a.pt", "a.pt:stream", "a?.pt", "a*.pt", 'a".pt',
        "a|b.pt", "<a>.pt", "a\n.pt", "a\0.pt", "a\x7f.pt", "a\u202etp.pt", "a.pt ", " a.pt", "a.pt.", "CON", "con.pt",
        "Nul.safetensors", "nul .pt", "COM1.pt", "lpt9.a.pt", "COM¹.pt", "-a.pt", ".a.pt", "a" * 198 + ".pt",
        "é" * 99 + ".pt", "\ud800.pt",
    ],
)  # fmt: skip
def test_names_that_cannot(name: str) -> None:
    with fails_with(RefusedError, "bad-file-name"):
        safe_file_name(name)


@given(st.text(max_size=30) | st.text("./\\:~cnulo1 ", max_size=12))
def test_a_safe_name_stays_in_its_folder_on_any_system(name: str) -> None:
    try:
        safe_file_name(name)
    except RefusedError:
        return
    assert posixpath.normpath(posixpath.join("/folder", name)) == "/folder/" + name
    assert ntpath.normpath(ntpath.join("X:\\folder", name)) == "X:\\folder\\" + name


def test_what_the_webui_lists() -> None:
    assert is_vae_file_name("a.vae.pt") and is_vae_file_name("a.SAFETENSORS")
    assert not is_vae_file_name("a.pth") and not is_vae_file_name("a.part")


MSE = HubSource("stabilityai/sd-vae-ft-mse", "diffusion_pytorch_model.safetensors")
AT_MIRROR = HttpsSource("https://hf-mirror.com/a/one-vae/resolve/main/diffusion_pytorch_model.safetensors")
AT_MODELSCOPE = HttpsSource(
    "https://modelscope.cn/api/v1/models/a/one-vae/repo?Revision=master&FilePath=vae/diffusion_pytorch_model.safetensors"
)
AWAY = HttpsSource("https://example.org/files/some.safetensors")
CIVITAI = CivitaiSource(7)


@pytest.mark.parametrize(
    ("source", "published", "proposed"),
    [
        # what only says "a model" gets the name of its place
        (MSE, "diffusion_pytorch_model.safetensors", "sd-vae-ft-mse.safetensors"),
        (MSE, "diffusion_pytorch_model.fp16.safetensors", "sd-vae-ft-mse-fp16.safetensors"),
        (MSE, "diffusion_pytorch_model.bin", "sd-vae-ft-mse.pt"),
        (HubSource("a/sdxl", "vae/x"), "diffusion_pytorch_model.safetensors", "sdxl-vae.safetensors"),
        (HubSource("a/sdxl", "vae_1_0/x"), "diffusion_pytorch_model.safetensors", "sdxl-vae_1_0.safetensors"),
        (HubSource("a/b", "x"), "model.safetensors", "b.safetensors"),
        (HubSource("a/anime", "x"), "vae.safetensors", "anime-vae.safetensors"),
        (HubSource("a/anime", "vae/x"), "vae.pt", "anime-vae.pt"),
        (AT_MIRROR, "diffusion_pytorch_model.safetensors", "one-vae.safetensors"),
        (AT_MODELSCOPE, "diffusion_pytorch_model.safetensors", "one-vae-vae.safetensors"),
        (AWAY, "model.safetensors", "model.safetensors"),
        (CIVITAI, "vae.safetensors", "vae.safetensors"),
        # a name that says something stays
        (HubSource("a/b", "x"), "ae.safetensors", "ae.safetensors"),
        (HubSource("a/b", "x"), "vae-ft-mse-840000-ema-pruned.ckpt", "vae-ft-mse-840000-ema-pruned.ckpt"),
        (HubSource("a/b", "x"), "anything.vae.pt", "anything.vae.pt"),
        # suffixes of other programs, and of Windows
        (AWAY, "a.sft", "a.safetensors"),
        (AWAY, "a.SFT", "a.safetensors"),
        (AWAY, "A.SafeTensors", "A.safetensors"),
        (AWAY, "a.bin", "a.pt"),
        (AWAY, "a.pth", "a.pt"),
        # what a disk or a system cannot hold
        (CIVITAI, "a:b?.safetensors", "a_b_.safetensors"),
        (CIVITAI, "\u202ea\n.safetensors", "a.safetensors"),
        (CIVITAI, "nul.safetensors", "_nul.safetensors"),
        (CIVITAI, "con." + "a" * 230 + ".safetensors", "_con." + "a" * 183 + ".safetensors"),
        (CIVITAI, "-rf.pt", "rf.pt"),
        (CIVITAI, "..pt", "vae.pt"),
        (CIVITAI, "\ud800.pt", "vae.pt"),
        (CIVITAI, "模" * 100 + ".safetensors", "模" * 62 + ".safetensors"),
        (CIVITAI, "a" * 300 + ".ckpt", "a" * 195 + ".ckpt"),
        # no WebUI lists it, and nothing is made up
        (AWAY, "", "vae"),
        (AWAY, "a.zip", "a.zip"),
        (AWAY, "download", "download"),
    ],
)
def test_the_proposed_name(source: Source, published: str, proposed: str) -> None:
    assert proposed_file_name(source, published) == proposed
    assert safe_file_name(proposed) == proposed


@given(st.text(max_size=400) | st.text("./\\:~cnulo1 é模", max_size=300))
def test_each_proposed_name_can_be_used(published: str) -> None:
    proposed = proposed_file_name(CIVITAI, published)
    assert safe_file_name(proposed) == proposed


def test_a_persons_own_name_gets_the_suffix_of_the_file() -> None:
    assert listed_name("mine", "a.safetensors") == "mine.safetensors"
    assert listed_name("v1.5", "a.vae.pt") == "v1.5.vae.pt"
    assert listed_name("mine.ckpt", "a.safetensors") == "mine.ckpt"
    assert listed_name("mine", "a.sft") == "mine.safetensors"
    assert listed_name("mine.tar", "a.BIN") == "mine.tar.pt"
    with fails_with(UsageError, "unlisted-extension"):
        listed_name("mine", "download")


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("foo.sft", "foo.safetensors"),
        ("foo.SFT", "foo.safetensors"),
        ("foo.pth", "foo.pt"),
        ("foo.safetensors ", "foo.safetensors"),
        (" foo ", "foo.safetensors"),
        ("foo.SafeTensors", "foo.safetensors"),
    ],
)
def test_a_persons_own_name_has_no_second_suffix(name: str, listed: str) -> None:
    assert listed_name(name, "a.safetensors") == listed
