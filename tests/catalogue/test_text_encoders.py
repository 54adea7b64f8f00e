"""Text encoders of the catalogue: the data that the project ships, and those of a user's own file."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from vae_manager.catalogue import Catalogue, HubSource, load
from vae_manager.catalogue.engines import ENCODERS, ENGINES

SHA256 = "ab" * 32


@pytest.fixture(scope="module")
def built_in() -> Catalogue:
    return load()


def test_each_is_known_by_its_hash_and_pinned(built_in: Catalogue) -> None:
    assert len(built_in.encoders) == 25
    for entry in built_in.encoders:
        assert entry.encoder in ENCODERS
        assert built_in.published(entry.sha256.upper()) is entry
        assert built_in.recognise(entry.sha256) is None, "a text encoder is no VAE"
        assert entry.licence is not None and entry.licence.link is not None
        assert entry.size is not None and entry.dtype is not None
        for source in entry.sources:
            assert isinstance(source, HubSource)
            assert re.fullmatch(r"[0-9a-f]{40}", source.revision or ""), entry.id
        assert entry.offered is (entry.not_offered_because is None)


def test_ids_and_hashes_are_unique_among_vaes_and_encoders(built_in: Catalogue) -> None:
    everything = [*built_in.entries, *built_in.encoders]
    assert [id for id, count in Counter(entry.id for entry in everything).items() if count > 1] == []
    assert [one for one, count in Counter(entry.sha256 for entry in everything).items() if count > 1] == []


@pytest.mark.parametrize("host", ["forge", "neo"])
def test_each_encoder_that_an_engine_of_the_forges_needs_is_offered(built_in: Catalogue, host: str) -> None:
    """SD 1.x, 2.x and SDXL bring theirs in the checkpoint."""
    lacking = {
        (engine.id, encoder)
        for engine in ENGINES.values()
        if host in engine.hosts and not {"sd1", "sdxl"} & set(engine.families) and engine.id != "mugen"
        for encoder in engine.needed(host)
        if not built_in.offered_encoders(encoder, engine.id)
    }
    assert lacking == set()


def test_weights_for_one_engine_are_not_offered_to_another(built_in: Catalogue) -> None:
    assert [entry.id for entry in built_in.offered_encoders("gemma2-2b", "lumina2")] == ["gemma2-2b"]
    assert [entry.id for entry in built_in.offered_encoders("gemma2-2b", "pid")] == ["gemma2-2b-it-bf16"]
    assert built_in.offered_encoders("t5xxl", "chroma")[0].id == "t5xxl-fp8-scaled"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


def entry(*lines: str) -> str:
    return "\n".join(["- id: mine", "  name: Mine", f"  sha256: {SHA256}", *(f"  {line}" for line in lines), ""])


def test_a_users_own(file: Path) -> None:
    file.write_text(entry("encoder: t5xxl", "source: hub:owner/repo/t5.gguf"), encoding="utf-8")
    catalogue = load(file)
    assert catalogue.problems == ()
    mine = catalogue.encoders[-1]
    assert (mine.id, mine.encoder, mine.file_name, mine.offered) == ("mine", "t5xxl", "t5.gguf", True)


@pytest.mark.parametrize(
    ("lines", "code"),
    [
        (("encoder: t6",), "bad-encoder"),
        (("encoder: t5xxl", "family: flux1"), "key-of-a-vae"),
        (("encoder: t5xxl", "layout: ldm"), "key-of-a-vae"),
        (("encoder: t5xxl", "engines: [flux9]"), "bad-engine"),
        (("encoder: t5xxl", "source: hub:owner/repo/t5.pt"), "unlisted-extension"),
        (("source: hub:owner/repo/t5.safetensors",), "missing-key"),
    ],
)
def test_an_entry_that_makes_no_sense(file: Path, lines: tuple[str, ...], code: str) -> None:
    file.write_text(entry(*lines), encoding="utf-8")
    catalogue = load(file)
    assert [problem.message.code for problem in catalogue.problems] == [code]
    assert "mine" not in {one.id for one in (*catalogue.entries, *catalogue.encoders)}


def test_a_vae_and_an_encoder_may_have_one_file_name(file: Path) -> None:
    """They lie in different folders."""
    vae = entry("family: sd1", "file_name: t5xxl_fp16.safetensors", "source: hub:owner/repo/x.safetensors")
    file.write_text(vae, encoding="utf-8")
    assert load(file).problems == ()
