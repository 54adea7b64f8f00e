"""The data that the project ships."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from vae_manager.catalogue import FAMILIES, Catalogue, HubSource, LocalSource, load
from vae_manager.records.verdict import HOSTS


@pytest.fixture(scope="module")
def built_in() -> Catalogue:
    return load()


def test_it_reads_without_a_problem(built_in: Catalogue) -> None:
    assert [str(problem) for problem in built_in.problems] == []
    assert len(built_in.entries) == 56


def test_every_family_has_facts_and_every_entry_advice(built_in: Catalogue) -> None:
    for entry in built_in.entries:
        assert entry.family in FAMILIES
        assert entry.purpose and not entry.purpose.endswith(".")
        assert entry.evidence in ("A", "B")
    assert all(family.id == key for key, family in FAMILIES.items())


def test_the_safe_default_comes_first(built_in: Catalogue) -> None:
    assert [entry.id for entry in built_in.offered("sd1")][:2] == ["ft-mse", "ft-ema"]
    assert [entry.id for entry in built_in.offered("sdxl")] == ["sdxl-fp16-fix", "sdxl-vae"]
    assert built_in.offered()[0].id == "ft-mse"


def test_offered_means_licence_hub_and_a_webui_that_can_use_it(built_in: Catalogue) -> None:
    for entry in built_in.offered():
        assert entry.licence is not None and entry.licence.link is not None
        assert entry.sources
        assert all(_is_of_hub(source) for source in entry.sources), entry.id
        assert any(host.can_use(entry) for host in HOSTS.values())
        assert not entry.gated
        assert entry.not_offered_because is None


@pytest.mark.parametrize(
    ("host", "offered"),
    [
        ("a1111", {"flux1-ae": False, "ft-mse": True, "qwen": False, "flux2-comfy-klein": False}),
        ("forge", {"flux1-ae": True, "ft-mse": True, "qwen": False, "flux2-comfy-klein": False}),
        ("neo", {"flux1-ae": True, "ft-mse": True, "qwen": True, "flux2-comfy-klein": True, "wan21": True}),
    ],
)
def test_each_webui_has_its_own_families_and_layouts(built_in: Catalogue, host: str, offered: dict[str, bool]) -> None:
    assert {id: HOSTS[host].can_use(built_in.entry(id)) for id in offered} == offered
    assert not HOSTS["a1111"].can_use(built_in.entry("ft-mse-diff"))
    assert HOSTS["neo"].can_use(built_in.entry("ft-mse-diff"))


def _is_of_hub(source: object) -> bool:
    """Return whether it is a file of a hub: at a commit, or at the head of the main branch. The hash decides."""
    return isinstance(source, HubSource) and re.fullmatch(r"[0-9a-f]{40}|", source.revision or "") is not None


def test_a_hash_stands_for_a_commit_that_nobody_knows(built_in: Catalogue) -> None:
    entry = built_in.entry("klf8-anime2")
    assert entry in built_in.offered("sd1")
    assert [source.revision for source in entry.sources if isinstance(source, HubSource)] == [None]


def test_what_is_not_offered_says_why_in_a_sentence(built_in: Catalogue) -> None:
    for entry in built_in.entries:
        if not entry.offered:
            assert re.fullmatch(r"[A-Z].*\.", entry.not_offered_because or ""), entry.id


@pytest.mark.parametrize("id", ["orangemix", "blessed2", "blessed-fix", "color101", "clearvae-v2.3", "acertainthing"])
def test_leaked_or_unlicensed_weights_are_recognised_and_never_offered(built_in: Catalogue, id: str) -> None:
    entry = built_in.entry(id)
    assert built_in.recognise(entry.sha256) is entry
    assert entry not in built_in.offered()


def test_the_leaked_vae_cannot_be_fetched_at_all(built_in: Catalogue) -> None:
    leaked = built_in.recognise("f921fb3f29891d2a77a6571e56b8b5052420d2884129517a333c60b1b4816cdf")
    assert leaked is not None and leaked.sources == ()
    assert "Anything-V3.0.vae.pt" in leaked.aliases


def test_the_published_hashes_of_the_two_that_everybody_uses(built_in: Catalogue) -> None:
    mse, ema = built_in.entry("ft-mse"), built_in.entry("ft-ema")
    assert mse.sha256 == "735e4c3a447a3255760d7f86845f09f937809baa529c17370d83e4c3758f3c75"
    assert mse.size == 334_641_190
    assert mse.file_name == "vae-ft-mse-840000-ema-pruned.safetensors"
    assert ema.sha256 == "95f26a5ab04779d5467d1fcecaf93160ffa523afe399b835b3e1bb77ff2d937a"
    assert ema.size is None  # nobody has published the exact count


def test_published_figures(built_in: Catalogue) -> None:
    coco = {entry.id: entry.evaluations[0].rfid for entry in built_in.entries if entry.evaluations}
    assert coco == {"ft-mse": 4.70, "ft-ema": 4.42, "klf8-orig-diff": 4.99, "sdxl-vae": 4.42}
    laion = built_in.entry("ft-mse").evaluations[1]
    assert (laion.rfid, laion.psnr, laion.steps) == (1.88, "27.3 ± 4.7", 840001)


def test_no_two_entries_share_a_hash_or_would_share_a_file(built_in: Catalogue) -> None:
    assert not [name for name, times in Counter(entry.sha256 for entry in built_in.entries).items() if times > 1]
    names = Counter(entry.file_name.lower() for entry in built_in.entries)
    assert not [name for name, times in names.items() if times > 1]


def test_only_mit_and_apache_need_no_reading(built_in: Catalogue) -> None:
    assert {entry.licence.name for entry in built_in.entries if entry.licence and entry.licence.permissive} == {
        "MIT",
        "Apache-2.0",
    }
    anime = built_in.entry("klf8-anime").licence
    assert anime is not None and not anime.permissive


def test_no_source_is_on_this_machine(built_in: Catalogue) -> None:
    assert not [entry.id for entry in built_in.entries for one in entry.sources if isinstance(one, LocalSource)]


def test_a_size_that_nobody_tells_is_that_of_the_architecture(built_in: Catalogue) -> None:
    ema, mse = built_in.entry("ft-ema"), built_in.entry("ft-mse")
    assert (ema.size, mse.estimated_size) == (None, mse.size)
    assert ema.estimated_size == pytest.approx(mse.size, rel=0.01)
    assert built_in.entry("taesd").estimated_size == built_in.entry("taesd").size
    assert built_in.entry("acertainthing").estimated_size is None
