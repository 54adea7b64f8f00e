from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vae_manager.catalogue import load
from vae_manager.errors import NotFoundError


@pytest.mark.parametrize("asked", ["ft_mse", "ftmse", "FT-MSE", "vae-ft-mse-840000-ema-pruned", "ft-MSE 840k"])
def test_an_unknown_id_names_the_nearest(asked: str) -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean .*\bft-mse\b"):
        load().entry(asked)


def test_an_alias_leads_to_its_entry() -> None:
    with pytest.raises(NotFoundError, match=r"Did you mean orangemix"):
        load().entry("nai.vae.pt")


def test_a_word_that_is_near_nothing() -> None:
    with pytest.raises(NotFoundError, match=r"no entry “zzzzzz”\.$"):
        load().entry("zzzzzz")


def test_an_unknown_hash_is_nobody() -> None:
    assert load().recognise("0" * 64) is None


def test_importing_reads_no_file_and_brings_no_heavy_package() -> None:
    """The catalogue is read by `load()`; torch and gradio belong to the host."""
    program = """
import io, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import vae_manager.catalogue, vae_manager.files, vae_manager.library
assert not [name for name in opened if name.endswith((".yaml", ".json"))], opened
assert not {"torch", "gradio", "modules", "numpy", "safetensors"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[2])
