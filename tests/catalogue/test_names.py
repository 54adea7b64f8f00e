from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.failing import fails_with
from vae_manager.catalogue import is_vae_file_name, safe_file_name
from vae_manager.errors import RefusedError


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
