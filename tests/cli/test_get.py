"""`get`: from an entry, a hub, an address or a file to a proven file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.files.corpus.case import tensors, zipped
from tests.files.gadgets import SYSTEM
from tests.files.samples import diffusers, ldm
from tests.files.torch_files import Made, as_zip, call, text
from tests.hub import Fault, Hub
from tests.hub.civitai import Civitai
from tests.wording import says
from vae_manager.cli import make_parser
from vae_manager.cli.shared import LibraryReader, network_of
from vae_manager.transfer import Network

from .command import DATA, PATH, REPO, SOURCE, Cli, sha256

NAME = "mine.safetensors"


def test_an_entry_of_ones_own_catalogue(hub: Hub, cli: Cli) -> None:
    result = cli("get", "mine", "--catalogue", cli.entry(size=len(DATA)), "--dir", cli.folder)
    assert result.status == 0
    assert result.out == f"{cli.folder / NAME}: 3.0 MB, proven, SHA-256 {sha256(DATA)}\n"
    assert (cli.folder / NAME).read_bytes() == DATA
    assert cli.names() == [NAME]
    assert hub.cdn.sent() == len(DATA)


def test_once_more_it_is_there_already_and_nobody_is_asked(hub: Hub, cli: Cli) -> None:
    cli.folder.mkdir()
    (cli.folder / NAME).write_bytes(DATA)
    result = cli("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder)
    assert result.status == 0
    assert result.out == f"{cli.folder / NAME}: was there already, proven, SHA-256 {sha256(DATA)}\n"
    assert hub.requests == []


def test_as_json(cli: Cli) -> None:
    command = ("get", "mine", "--catalogue", cli.entry(), "--dir", cli.folder, "--json")
    answer = {
        "path": str(cli.folder / NAME),
        "sha256": sha256(DATA),
        "size": len(DATA),
        "proven": True,
        "fetched": len(DATA),
        "already_there": False,
        "taken_from": None,
        "taken_as": None,
        "verdict": "ask-first",
        "loadable": True,
        "convertible": False,
        "code": "other-factor",
    }
    first, second = cli(*command), cli(*command)
    rows = [first.json, second.json]
    assert all(NAME in row.pop("reason") for row in rows)
    assert (first.status, rows[0]) == (0, answer)
    assert (second.status, rows[1]) == (0, {**answer, "fetched": 0, "already_there": True})


def test_an_error_as_json(cli: Cli) -> None:
    result = cli("get", "no-such-entry", "--json")
    assert (result.status, result.err) == (3, "")
    assert {**result.json, "error": ""} == {"error": "", "code": "no-such-entry", "status": 3}
    assert "no-such-entry" in result.json["error"]


def test_a_file_of_a_hub_is_proven_by_the_hubs_own_hash(cli: Cli) -> None:
    result = cli("get", SOURCE, "--dir", cli.folder, "--json")
    assert (result.status, result.json["proven"], result.json["path"]) == (0, True, str(cli.folder / NAME))
    assert (cli.folder / NAME).read_bytes() == DATA


@pytest.mark.parametrize(
    "source",
    [
        "me/pasted/sub/vae@v2.safetensors",
        "hf://me/pasted/sub/vae@v2.safetensors",
        "“huggingface.co/me/pasted/blob/main/sub/vae%40v2.safetensors”",
        "[it](https://hf.co/me/pasted/resolve/main/sub/vae%40v2.safetensors?download=true)",
        "ENDPOINT/me/pasted/blob/main/sub/vae%40v2.safetensors",
    ],
)
def test_an_address_as_it_was_pasted(hub: Hub, cli: Cli, source: str) -> None:
    hub.add("me/pasted", "sub/vae@v2.safetensors", DATA)
    source = source.replace("ENDPOINT", hub.endpoint)
    result = cli("get", source, "--dir", cli.folder, "--json")
    assert (result.status, result.json["proven"]) == (0, True)
    assert cli("inspect", source.replace("http://", ""), "--json").json[0]["sha256"] == sha256(DATA)
    assert (cli.folder / "vae@v2.safetensors").read_bytes() == DATA


@pytest.mark.parametrize(
    "source",
    ["me/one", "https://huggingface.co/me/one", "hf.co/me/one/tree/main/vae", "hf://me/one", "ENDPOINT/me/one"],
)
def test_a_repository_with_one_vae_means_that(hub: Hub, cli: Cli, source: str) -> None:
    """Its other files are no VAE, or the same one under another extension."""
    hub.add("me/one", "vae/mine.safetensors", DATA)
    hub.add("me/one", "vae/mine.ckpt", b"older")
    hub.add("me/one", "README.md", b"# One")
    hub.add("me/one", "config.json", b"{}")
    result = cli("get", source.replace("ENDPOINT", hub.endpoint), "--dir", cli.folder, "--json")
    assert (result.status, result.json["proven"]) == (0, True)
    assert (cli.folder / "mine.safetensors").read_bytes() == DATA


def test_a_repository_with_several_is_a_choice(hub: Hub, cli: Cli) -> None:
    for path in ("unet/model.safetensors", "vae/a.safetensors", "vae/b@2.safetensors"):
        hub.add("me/many", path, DATA)
    failed = cli("get", "me/many", "--dir", cli.folder)
    assert failed.status == 2
    files = [
        f"hub:me/many/{path} (3.0 MB)"
        for path in ("vae/a.safetensors", "vae/b%402.safetensors", "unet/model.safetensors")
    ]
    assert says(failed.err, "several-files-in-repository", repo="me/many", count=3, files=", ".join(files))
    assert not cli.folder.exists()
    assert cli("get", "hub:me/many/vae/b%402.safetensors", "--dir", cli.folder).status == 0
    folder = cli("get", "https://huggingface.co/me/many/tree/main/unet", "--dir", cli.folder)
    assert (folder.status, (cli.folder / "many-unet.safetensors").exists()) == (0, True)


def test_a_repository_without_a_vae(hub: Hub, cli: Cli) -> None:
    hub.add("me/none", "README.md", b"# None")
    failed = cli("get", "me/none", "--dir", cli.folder)
    assert (failed.status, says(failed.err, "no-file-in-repository", repo="me/none")) == (3, True)
    failed = cli("get", "me/nowhere", "--dir", cli.folder)
    assert (failed.status, says(failed.err, "no-such-repository", repo="me/nowhere", host=hub_host(hub))) == (3, True)


def test_a_repository_elsewhere_is_told_from_a_file(cli: Cli) -> None:
    for source in ("https://hf-mirror.com/me/pasted", "https://modelscope.cn/models/me/pasted/files"):
        failed = cli("get", source, "--dir", cli.folder)
        assert (failed.status, says(failed.err, "whole-repository", repo="me/pasted")) == (2, True)


def hub_host(hub: Hub) -> str:
    return hub.endpoint.partition("://")[2].partition(":")[0]


def test_a_pinned_revision(hub: Hub, cli: Cli) -> None:
    old, new = tensors(ldm(), made="old"), tensors(ldm(), made="new")
    hub.add("me/pinned", "vae.safetensors", old, revision="1" * 40)
    hub.add("me/pinned", "vae.safetensors", new, revision="2" * 40)
    assert cli("get", f"hub:me/pinned/vae.safetensors@{'1' * 40}", "--dir", cli.folder).status == 0
    assert (cli.folder / "pinned-vae.safetensors").read_bytes() == old


def test_two_vaes_that_are_published_under_one_name(hub: Hub, cli: Cli) -> None:
    for repo in ("me/sd-vae-one", "me/sd-vae-two"):
        hub.add(repo, "diffusion_pytorch_model.safetensors", tensors(ldm(), made=repo))
        assert cli("get", f"hub:{repo}/diffusion_pytorch_model.safetensors", "--dir", cli.folder).status == 0
    assert cli.names() == ["sd-vae-one.safetensors", "sd-vae-two.safetensors"]


@pytest.mark.parametrize(
    ("name", "here"), [("other.safetensors", "other.safetensors"), ("v1.5", "v1.5.safetensors"), ("é", "é.safetensors")]
)
def test_a_name_of_ones_own(hub: Hub, cli: Cli, name: str, here: str) -> None:
    assert cli("get", SOURCE, "--name", name, "--dir", cli.folder).status == 0
    command = ("get", "mine", "--catalogue", cli.entry(), "--name", name, "--dir", cli.folder, "--json")
    again = cli(*command)
    assert (again.status, again.json["already_there"], cli.names()) == (0, True, [here])


def test_a_name_that_says_nothing_of_the_format_needs_another(hub: Hub, cli: Cli) -> None:
    address = hub.publish("/download", DATA)
    refused = cli("get", address, "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"]) == (2, "unlisted-extension")
    refused = cli("get", address, "--name", "mine", "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"]) == (2, "unlisted-extension")
    refused = cli("get", address, "--name", "../mine.safetensors", "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"], cli.folder.exists()) == (7, "bad-file-name", False)


@pytest.mark.parametrize("data", [b"hello", as_zip(Made(call(SYSTEM, text("true")), {}))], ids=["text", "code"])
def test_what_is_no_model_or_holds_code_gets_no_name(hub: Hub, cli: Cli, data: bytes) -> None:
    result = cli("get", hub.publish("/files/z.safetensors", data), "--dir", cli.folder)
    assert (result.status, cli.folder.exists() and cli.names()) in [(7, []), (7, False)]
    assert "z.safetensors" in result.message


def test_another_endpoint(cli: Cli) -> None:
    with Hub() as mirror:
        mirror.add(REPO, PATH, DATA)
        result = cli("get", SOURCE, "--endpoint", mirror.endpoint, "--dir", cli.folder)
        assert result.status == 0
        assert len(DATA) <= mirror.cdn.sent() < 2 * len(DATA)
    assert cli.hub.requests == []


def test_an_address_for_which_nobody_publishes_a_hash(hub: Hub, cli: Cli) -> None:
    url = hub.publish("/files/vae.safetensors", DATA)
    result = cli("get", url + "?download=true", "--dir", cli.folder)
    assert result.status == 0
    assert "1/2 of a picture" in result.err, "nobody proved it: look"
    assert "NOT proven: nobody publishes a hash for it" in result.out
    assert sha256(DATA) in result.out
    assert (cli.folder / "vae.safetensors").read_bytes() == DATA


def test_the_hash_of_a_new_file_is_known_without_another_reading(hub: Hub, cli: Cli) -> None:
    data = cli.home / "data"
    data.mkdir()
    address = hub.publish("/mine.safetensors", DATA)
    assert cli("get", address, "--dir", cli.folder, "--data", data).status == 0
    assert LibraryReader(data).hashes.known(cli.folder / "mine.safetensors") == sha256(DATA)


def test_an_addresss_file_name_is_decoded(hub: Hub, cli: Cli) -> None:
    url = hub.publish("/files/AAA Anime VAE é.safetensors", DATA).replace(" ", "%20").replace("é", "%C3%A9")
    assert cli("get", url, "--dir", cli.folder).status == 0
    assert cli.names() == ["AAA Anime VAE é.safetensors"]


def test_a_file_of_this_machine(cli: Cli) -> None:
    source = cli.home / "given" / "given.safetensors"
    source.parent.mkdir()
    source.write_bytes(DATA)
    result = cli("get", source, "--dir", cli.folder, "--json")
    assert (result.status, result.json["fetched"], result.json["proven"]) == (0, 0, False)
    assert (cli.folder / "given.safetensors").read_bytes() == source.read_bytes() == DATA


def test_terms_that_were_accepted(cli: Cli) -> None:
    catalogue = cli.entry(licence="CreativeML Open RAIL-M")
    assert cli("get", "mine", "--catalogue", catalogue, "--dir", cli.folder, "--accept-terms").status == 0


@pytest.mark.parametrize("has_folder", [True, False])
def test_without_dir_it_goes_where_a_webui_looks_if_there_is_one(cli: Cli, has_folder: bool) -> None:
    folder = cli.work / "models" / "VAE"
    if has_folder:
        folder.mkdir(parents=True)
    assert cli("get", SOURCE).status == 0
    assert ((folder if has_folder else cli.work) / NAME).read_bytes() == DATA


def test_a_cut_is_mended_without_a_word(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_next(Fault.reset_after(2_000_000))
    result = cli("get", SOURCE, "--dir", cli.folder)
    assert result.status == 0
    assert (cli.folder / NAME).read_bytes() == DATA


def test_no_folder_of_the_persons_own_is_touched(cli: Cli) -> None:
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    assert sorted(path.name for path in cli.home.iterdir()) == ["VAE"]
    assert list(cli.work.iterdir()) == []


# -- other sources, and how the network is used --------------------------------------------------------------------
@pytest.fixture
def civitai(cli: Cli) -> Iterator[Civitai]:
    with Civitai() as running:
        running.add(456, "my vae.safetensors", DATA, primary=True)
        cli.variables["CIVITAI_ENDPOINT"] = running.endpoint
        yield running


@pytest.mark.parametrize("source", ["civitai:456", "https://civitai.com/models/1/x?modelVersionId=456"])
def test_a_model_version_of_civitai_names_its_file_and_proves_it(cli: Cli, civitai: Civitai, source: str) -> None:
    result = cli("get", source, "--dir", cli.folder, "--json")
    assert (result.status, result.json["proven"]) == (0, True)
    assert cli.names() == ["my vae.safetensors"]


def test_a_file_of_civitai_that_is_no_vae(cli: Cli, civitai: Civitai) -> None:
    civitai.add(7, "workflow.zip", DATA, primary=True)
    refused = cli("get", "civitai:7", "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"]) == (2, "unlisted-extension")
    assert "workflow.zip" in refused.json["error"]


def test_the_key_for_civitai_is_for_civitai_alone(cli: Cli, civitai: Civitai) -> None:
    cli.variables["CIVITAI_API_KEY"] = "0123456789abcdef"
    assert cli("get", "civitai:456", "--dir", cli.folder).status == 0
    assert {seen.authorization for seen in civitai.api.requests} == {None}
    civitai.add(8, "a.pt", DATA, primary=True, needs_key=True)
    refused = cli("get", "civitai:8", "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"]) == (7, "api-key-needed")
    assert "CIVITAI_API_KEY" in refused.json["error"]


def test_a_bucket_without_its_package(cli: Cli) -> None:
    pytest.importorskip("fsspec")
    if importlib.util.find_spec("s3fs") is not None:
        pytest.skip("s3fs is installed")
    result = cli("get", "s3://bucket/vaes/a.safetensors", "--dir", cli.folder)
    assert result.status == 2
    assert says(result.message, "driver-missing", package="s3fs")


@pytest.mark.parametrize(
    ("arguments", "network"),
    [
        ((), Network()),
        (("--connections", "4"), Network(connections=4)),
        (("--limit", "20M"), Network(bandwidth=20e6)),
        (("--limit", "1.5g"), Network(bandwidth=1.5e9)),
        (("--limit", "500K"), Network(bandwidth=500e3)),
        (("--limit", "1000"), Network(bandwidth=1000)),
    ],
)
def test_how_the_network_is_used(arguments: tuple[str, ...], network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CIVITAI_API_KEY", "CIVITAI_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    assert network_of(make_parser().parse_args(["get", "ft-mse", *arguments])) == network
    monkeypatch.setenv("CIVITAI_API_KEY", " key\n")
    assert network_of(make_parser().parse_args(["get", "ft-mse", *arguments])).keys == {"civitai.com": "key"}


@pytest.mark.parametrize(
    "arguments", [("--connections", "0"), ("--connections", "x"), ("--limit", "0"), ("--limit", "fast")]
)
def test_what_cannot_be_read_is_usage(cli: Cli, arguments: tuple[str, ...]) -> None:
    assert cli("get", "ft-mse", *arguments).status == 2


def test_each_new_attempt_is_told(hub: Hub, cli: Cli) -> None:
    hub.api.fail_next(Fault.status(503), Fault.status(503))
    result = cli("get", SOURCE, "--anyway", "--dir", cli.folder)
    assert (result.status, cli.names()) == (0, [NAME])
    told = [line for line in result.err.splitlines() if says(line, "server-error", status=503, host=hub_host(hub))]
    assert len(told) == 2


# -- a look before the bytes flow ----------------------------------------------------------------------------------
LARGE: dict[str, tuple[int, ...]] = {"zzz": (2_000_000,)}
LORA = tensors({"lora_unet_x.lora_up.weight": (2, 2), **LARGE})
CHECKPOINT = tensors(
    {f"first_stage_model.{name}": shape for name, shape in ldm().items()}
    | {"model.diffusion_model.out.2.weight": (4, 8, 3, 3), **LARGE}
)


@pytest.mark.parametrize(("data", "code"), [(LORA, "lora"), (CHECKPOINT, "checkpoint-with-vae")])
@pytest.mark.parametrize("has_hash", [True, False])
def test_what_is_no_vae_is_refused_before_the_bytes_flow(
    hub: Hub, cli: Cli, data: bytes, code: str, has_hash: bool
) -> None:
    hub.add("me/other", "other.safetensors", data)
    source = "hub:me/other/other.safetensors" if has_hash else hub.publish("/other.safetensors", data)
    result = cli("get", source, "--dir", cli.folder, "--json")
    assert (result.status, result.json["code"]) == (7, code)
    hub.settle()
    assert hub.cdn.sent() < 1_000_000
    assert not cli.folder.exists()


def test_a_checkpoint_all_the_same(hub: Hub, cli: Cli) -> None:
    hub.add("me/other", "other.safetensors", CHECKPOINT)
    result = cli("get", "hub:me/other/other.safetensors", "--dir", cli.folder, "--anyway")
    assert result.status == 0
    assert (cli.folder / "other.safetensors").read_bytes() == CHECKPOINT
    assert "bytes=0-131071" not in [seen.headers.get("range") for seen in hub.cdn.requests], "nothing is looked at"


@pytest.mark.parametrize(
    "fault",
    [Fault.range_ignored(), Fault.status(503), Fault.other_start(7), Fault.gzip(), Fault.close_before_headers()],
)
def test_a_look_that_fails_hinders_no_download(hub: Hub, cli: Cli, fault: Fault) -> None:
    hub.cdn.fail_next(fault)
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    assert (cli.folder / NAME).read_bytes() == DATA


def test_a_suffix_of_the_other_container(hub: Hub, cli: Cli) -> None:
    hub.add("me/odd", "vae.pt", DATA)
    refused = cli("get", "me/odd/vae.pt", "--name", "mine.ckpt", "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"], cli.folder.exists()) == (7, "wrong-extension", False)
    hub.settle()
    assert hub.cdn.sent() < len(DATA)
    assert cli("get", "me/odd/vae.pt", "--dir", cli.folder).status == 0
    assert cli.names() == ["odd-vae.safetensors"]


def test_a_server_without_ranges(hub: Hub, cli: Cli) -> None:
    hub.cdn.fail_always(Fault.range_ignored())
    assert cli("get", SOURCE, "--dir", cli.folder).status == 0
    refused = cli("get", hub.publish("/l.safetensors", LORA), "--dir", cli.folder, "--json")
    assert (refused.status, refused.json["code"]) == (7, "lora")


# -- inspect -------------------------------------------------------------------------------------------------------
def test_inspect_of_a_source_is_that_of_the_file(hub: Hub, cli: Cli) -> None:
    for name, data in (("a", tensors(ldm())), ("b", tensors(diffusers())), ("c", LORA), ("d", CHECKPOINT)):
        path = cli.work / f"{name}.safetensors"
        path.write_bytes(data)
        hub.add("me/looked-at", path.name, data)
        result = cli("inspect", path.name, f"me/looked-at/{path.name}", hub.publish(f"/x/{path.name}", data), "--json")
        file, *rows = result.json
        for row in rows:
            assert row["sha256"] in (None, file["sha256"])
            changed = {key for key in file if file[key] != row[key]}
            assert changed <= {"path", "source", "here", "sha256", "weights_fingerprint", "encoder_fingerprint"}
        assert (result.status, rows[0]["sha256"]) == (0, file["sha256"])
    assert hub.cdn.sent() < 2_000_000


def test_inspect_tells_that_the_bytes_are_here_already(cli: Cli) -> None:
    folder, data = cli.work / "models" / "VAE", cli.work / "data"
    folder.mkdir(parents=True)
    data.mkdir()
    catalogue = cli.entry()
    assert cli("get", "mine", "--catalogue", catalogue).status == 0
    assert cli("verify", "--data", data).status == 0
    [row] = cli("inspect", SOURCE, "--catalogue", catalogue, "--data", data, "--json").json
    assert (row["entry"], row["path"], row["source"]) == ("mine", NAME, SOURCE)
    assert row["here"] == [str(Path("models/VAE") / NAME)]
    assert str(Path("models/VAE") / NAME) in cli("inspect", SOURCE, "--data", data).out


def test_inspect_of_what_is_nowhere(hub: Hub, cli: Cli) -> None:
    result = cli("inspect", "no-such.safetensors", "me/nowhere/x.safetensors", hub.cdn.address + "/x.pt", "--json")
    assert (result.status, [row["status"] for row in result.json]) == (3, [3, 3, 3])
    hub.cdn.fail_always(Fault.range_ignored())
    [row] = cli("inspect", hub.publish("/a.pt", zipped({**ldm(), **LARGE})), "--json").json
    assert (row["code"], row["status"]) == ("no-look", 4), "its table is at its end"


@pytest.mark.parametrize("name", ["foo.sft", "foo.safetensors ", " foo"])
@pytest.mark.parametrize("source", ["mine", SOURCE])
def test_a_name_of_ones_own_gets_one_suffix(cli: Cli, name: str, source: str) -> None:
    result = cli("get", source, "--catalogue", cli.entry(), "--dir", cli.folder, "--name", name)
    assert (result.status, cli.names()) == (0, ["foo.safetensors"])


@pytest.mark.parametrize("name", ["ae.sft", "AE.SAFETENSORS"])
def test_a_file_of_another_program_is_adopted_as_get_takes_it(cli: Cli, name: str) -> None:
    (cli.work / name).write_bytes(DATA)
    adopted = cli("adopt", name, "--dir", cli.folder, "--json")
    taken = cli("get", f"./{name}", "--dir", cli.home / "other", "--json")
    assert (adopted.status, taken.status) == (0, 0)
    assert cli.names() == cli.names(cli.home / "other") == [name.partition(".")[0] + ".safetensors"]
    assert "path" in cli("list", "--dir", cli.folder, "--json").json[0]


def test_adopting_twice_under_a_name_with_another_programs_suffix(cli: Cli) -> None:
    (cli.work / "ae.sft").write_bytes(DATA)
    command = ("adopt", "ae.sft", "--name", "foo.sft", "--dir", cli.folder, "--json")
    rows = [row for _ in range(2) for row in cli(*command).json]
    assert [row.get("already_there") for row in rows] == [False, True]
    assert cli.names() == ["foo.safetensors"]
