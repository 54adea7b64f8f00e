"""A torch file of any form gives the same picture as its weights in a safetensors file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from .good_files import TORCH_FORMS
from .stage import STARTS, Stage

NAME = "guard-torch.pt"


@contextmanager
def torch_file(stage: Stage, kind: str) -> Iterator[str]:
    """List a file with the weights of VAE b for a while; yield its name."""
    path = stage.vaes / NAME
    TORCH_FORMS[kind](stage.vaes / stage.b, path)
    try:
        stage.webui.refresh()
        yield path.name
    finally:
        stage.webui.set(sd_vae="None")
        path.unlink()
        stage.webui.refresh()
        stage.unknown()


@pytest.mark.parametrize("kind", TORCH_FORMS)
def test_a_torch_file_is_used_as_the_same_weights_are(stage: Stage, kind: str) -> None:
    with torch_file(stage, kind) as name:
        for start in STARTS:
            stage.begin(start)
            expected = stage.picture(override_settings={"sd_vae": stage.b})
            given = stage.picture(override_settings={"sd_vae": name})
            assert (given.vae, given.looks_like(expected)) == (name, True)
            stage.assert_as_before()
            stage.webui.choose(name)
            stage.unknown()
            given = stage.picture()
            assert (given.vae, given.looks_like(expected)) == (name, True)
            assert given.vae_hash not in (None, expected.vae_hash)
