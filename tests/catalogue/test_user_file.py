"""The user's own entries: what is accepted, and how what is wrong is reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.failing import has
from vae_manager.catalogue import BucketSource, Catalogue, CivitaiSource, HttpsSource, HubSource, LocalSource, load
from vae_manager.catalogue.entry import FAMILIES
from vae_manager.messages import Message

SHA = "0123456789abcdef" * 4
OTHER_SHA = "fedcba9876543210" * 4
GOOD = f"""\
- id: good
  name: A good one
  family: sd1
  sha256: {OTHER_SHA}
  source: hub:owner/name/good.safetensors
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalogue.yaml"


def read(file: Path, text: str) -> Catalogue:
    file.write_text(text, encoding="utf-8")
    return load(file)


def entry(*lines: str, **values: str) -> str:
    """An entry that is fine, but for `values`; `lines` are added to it."""
    keys = {"id": "mine", "name": "Mine", "family": "sd1", "sha256": SHA, "source": "hub:me/vaes/mine.safetensors"}
    text = [f"{key}: {value}" for key, value in {**keys, **values}.items() if value] + list(lines)
    return "- " + "\n  ".join(text) + "\n"


def problems(catalogue: Catalogue) -> list[tuple[int, str]]:
    """The line and the code of each problem."""
    return [(problem.line, problem.message.code) for problem in catalogue.problems]


def code_or_text(field: object) -> str:
    return field.code if isinstance(field, Message) else str(field)


def test_no_file_is_no_problem(file: Path) -> None:
    catalogue = load(file)
    assert catalogue.problems == ()
    assert catalogue == load()


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "entries:\n", "[]\n"])
def test_a_file_without_entries_is_no_problem(file: Path, text: str) -> None:
    assert read(file, text).problems == ()


def test_the_least_that_an_entry_needs(file: Path) -> None:
    catalogue = read(file, entry())
    mine = catalogue.entry("mine")
    assert catalogue.problems == ()
    assert mine.sources == (HubSource("me/vaes", "mine.safetensors"),)
    assert (mine.file_name, mine.evidence, mine.offered) == ("mine.safetensors", "user", True)
    assert (mine.licence, mine.layout, mine.purpose, mine.size) == (None, "ldm", "", None)
    assert catalogue.recognise(SHA.upper()) is mine
    assert catalogue.offered("sd1")[0].id == "ft-mse" and catalogue.offered("sd1")[-1] is mine


def test_entries_may_stand_under_a_key(file: Path) -> None:
    assert read(file, "entries:\n" + entry()).entry("mine").name == "Mine"


def test_all_that_an_entry_can_say(file: Path) -> None:
    text = entry(
        "sources:",
        f"  - hub:me/vaes/sub/mine.safetensors@{'a' * 40}",
        "  - https://example.org/files/my%20vae.safetensors?download=1",
        "  - elsewhere/mine.safetensors",
        "file_name: other.safetensors",
        "purpose: Warm colours",
        "licence: {name: CC-BY-4.0, link: https://creativecommons.org/licenses/by/4.0/}",
        "size: 334_641_190",
        "layout: diffusers",
        "dtype: fp16",
        "gated: true",
        "aliases: [one.pt, two.pt]",
        source="",
    )
    mine = read(file, text).entry("mine")
    assert mine.sources == (
        HubSource("me/vaes", "sub/mine.safetensors", "a" * 40),
        HttpsSource("https://example.org/files/my%20vae.safetensors?download=1"),
        LocalSource(file.parent / "elsewhere" / "mine.safetensors"),
    )
    assert mine.file_name == "other.safetensors"
    assert mine.licence is not None and not mine.licence.permissive
    assert (mine.size, mine.layout, mine.dtype, mine.gated) == (334_641_190, "diffusers", "fp16", True)
    assert mine.aliases == ("one.pt", "two.pt")


def test_a_licence_may_be_a_word(file: Path) -> None:
    licence = read(file, entry("licence: MIT")).entry("mine").licence
    assert licence is not None and licence.permissive and licence.link is None


def test_the_file_name_of_an_address_is_decoded(file: Path) -> None:
    mine = read(file, entry(source="https://example.org/my%20vae.safetensors?x=/y")).entry("mine")
    assert mine.file_name == "my vae.safetensors"


def test_an_entry_without_a_source_only_names_a_hash(file: Path) -> None:
    catalogue = read(file, entry(source=""))
    found = catalogue.recognise(SHA)
    assert catalogue.problems == ()
    assert found is not None and not found.offered and found.not_offered_because


@pytest.mark.parametrize(
    ("text", "line", "code", "fields"),
    [
        (entry(sha256="abc"), 4, "bad-sha256", {"text": "abc"}),
        (entry(sha256=""), 1, "missing-key", {"key": "sha256"}),
        (entry(name=""), 1, "missing-key", {"key": "name"}),
        (entry(name="[a, b]"), 2, "value-not-single", {"key": "name"}),
        (entry(name='"two\\nlines"'), 2, "value-not-one-line", {"key": "name"}),
        (entry(family="sd15"), 3, "bad-family", {"text": "sd15", "known": ", ".join(FAMILIES)}),
        (entry(id="a:b"), 1, "bad-id", {"text": "a:b"}),
        (entry("license: MIT"), 6, "unknown-key", {"key": "license", "near": "licence"}),
        (entry("colour: blue"), 6, "unknown-key", {"key": "colour", "near": "None"}),
        (entry("evidence: A"), 6, "unknown-key", {"key": "evidence"}),
        (entry("family: sdxl"), 6, "duplicate-key", {"key": "family"}),
        (entry("size: big"), 6, "bad-number", {"text": "big"}),
        (entry("size: -1"), 6, "bad-number", {"text": "-1"}),
        (entry("offered: maybe"), 6, "bad-flag", {"text": "maybe"}),
        (entry("layout: ldn"), 6, "bad-layout", {"text": "ldn"}),
        (entry("aliases: one.pt"), 6, "value-not-a-list", {"key": "aliases"}),
        (entry("licence: {link: https://example.org}"), 6, "missing-key", {"key": "name"}),
        (entry("licence: {name: X, link: 'javascript:alert(1)'}"), 6, "not-https", {"text": "javascript:alert(1)"}),
        (entry("file_name: ../up.safetensors"), 6, "bad-file-name", {"name": "../up.safetensors"}),
        (
            entry("file_name: nul.safetensors"),
            6,
            "bad-file-name",
            {"name": "nul.safetensors", "reason": "reserved-name"},
        ),
        (entry("file_name: mine.zip"), 6, "unlisted-extension", {"endings": ".safetensors, .ckpt, .pt"}),
        (entry(source="https://example.org/files/"), 5, "bad-file-name", {"name": ""}),
        (
            entry(source="https://example.org/a%2F..%2F..%2Fb.safetensors"),
            5,
            "bad-file-name",
            {"name": "a/../../b.safetensors"},
        ),
        (
            entry(source="http://example.org/a.safetensors"),
            5,
            "plain-http",
            {"address": "http://example.org/a.safetensors"},
        ),
        (entry(source="hub:only/two"), 5, "whole-repository", {"repo": "only/two"}),
        (entry(source="hub:one"), 5, "bad-hub-source", {"text": "one"}),
        (entry("offered: true", source=""), 5, "missing-source", {}),
        ("- just text\n", 1, "not-a-mapping", {}),
    ],
)
def test_a_bad_entry_is_reported_with_its_line_and_the_rest_loads(
    file: Path, text: str, line: int, code: str, fields: dict[str, str]
) -> None:
    catalogue = read(file, text + GOOD)
    (found,) = catalogue.problems
    assert (found.file, found.line, found.message.code) == (file, line, code)
    assert {name: code_or_text(found.message.fields.get(name)) for name in fields} == fields
    assert catalogue.entry("good").offered
    assert "mine" not in [one.id for one in catalogue.entries]
    assert str(catalogue.problems[0]).startswith(f"{file}:{line}: ")


def test_each_issue_of_an_entry_is_reported(file: Path) -> None:
    catalogue = read(file, entry("size: big", "colour: blue", sha256="abc", family="nope"))
    assert [line for line, _ in problems(catalogue)] == [3, 4, 6, 7]


def test_a_built_in_id_is_not_overridden(file: Path) -> None:
    catalogue = read(file, entry(id="ft-mse") + GOOD)
    assert problems(catalogue)[0][0] == 1
    assert catalogue.entry("ft-mse").evidence == "A"
    assert catalogue.entry("good")


def test_an_id_is_used_once(file: Path) -> None:
    catalogue = read(file, entry() + entry(name="Again", sha256=OTHER_SHA))
    assert [line for line, _ in problems(catalogue)] == [6]
    assert catalogue.entry("mine").name == "Mine"


def test_other_bytes_under_an_offered_file_name_are_refused(file: Path) -> None:
    catalogue = read(file, entry(source="hub:me/vaes/SDXL_vae.safetensors"))
    assert problems(catalogue)[0][1] == "file-name-taken"
    assert has(catalogue.problems[0].message, name="SDXL_vae.safetensors")
    assert "mine" not in [one.id for one in catalogue.entries]


def test_a_mirror_of_a_built_in_vae_is_welcome(file: Path) -> None:
    mse = load().entry("ft-mse")
    catalogue = read(file, entry(sha256=mse.sha256, source=f"https://mirror.example.org/{mse.file_name}"))
    assert catalogue.problems == ()
    assert catalogue.entry("mine").offered
    found = catalogue.recognise(mse.sha256)
    assert found is not None and found.id == "ft-mse"


@pytest.mark.parametrize(
    "bad", ['- id: "never closed\n', "- id: a: b: c\n", "- {id: a\n", "- id: x\n\tname: y\n", "- id: \x07\n"]
)
def test_a_line_that_is_not_yaml_costs_its_entry_only(file: Path, bad: str) -> None:
    catalogue = read(file, "# mine\n" + entry() + bad + GOOD)
    assert catalogue.entry("mine") and catalogue.entry("good") and catalogue.entry("ft-mse")
    (found,) = problems(catalogue)
    assert 7 <= found[0] <= 9


def test_text_that_is_no_list_is_reported(file: Path) -> None:
    catalogue = read(file, "hello: [\n")
    assert [line for line, _ in problems(catalogue)] == [2]
    assert catalogue.entry("ft-mse")
    assert problems(read(file, "hello: you\n"))[0][1] == "not-a-list"


def test_a_file_that_is_not_text_is_reported(file: Path) -> None:
    file.write_bytes(b"# one\n- id: caf\xe9\n")
    assert problems(load(file)) == [(2, "not-utf-8")]


def test_a_folder_in_its_place_is_reported(tmp_path: Path) -> None:
    assert problems(load(tmp_path))[0][1] == "unreadable"


def test_no_tag_makes_an_object(file: Path, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    catalogue = read(file, f"- !!python/object/apply:pathlib.Path.touch [!!python/name:x {proof}]\n" + GOOD)
    assert len(catalogue.problems) == 1
    assert not proof.exists()


def test_sources_of_other_kinds(file: Path) -> None:
    mine = read(file, entry('sources: ["civitai:456", "s3://bucket/vaes/a.pt"]', source="")).entry("mine")
    assert mine.sources == (CivitaiSource(456), BucketSource("s3", "bucket", "vaes/a.pt"))
    assert mine.file_name == "a.pt"


def test_a_name_that_only_the_server_knows(file: Path) -> None:
    assert problems(read(file, entry(source="civitai:456")))[0][1] == "unknown-file-name"
    assert read(file, entry("file_name: a.pt", source="civitai:456")).entry("mine").file_name == "a.pt"


def test_a_key_in_the_address_of_a_bucket_is_refused_and_not_repeated(file: Path) -> None:
    [told] = read(file, entry(source="s3://key:hunter2@bucket/a.pt")).problems
    assert (told.line, "hunter2" in str(told.message)) == (5, False)
