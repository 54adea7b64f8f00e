from __future__ import annotations

from pathlib import Path

import pytest

from tests.failing import fails_with
from vae_manager.catalogue import BucketSource, CivitaiSource, HttpsSource, HubSource, LocalSource, Source, name_at
from vae_manager.catalogue.source_text import parse_source, typed_source
from vae_manager.errors import RefusedError, UsageError, WholeRepositoryError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hub:o/n/a.safetensors", HubSource("o/n", "a.safetensors")),
        ("hub:o/n/vae/a b.safetensors@abc123", HubSource("o/n", "vae/a b.safetensors", "abc123")),
        ("hub:o/n/a.pt@refs/pr/1", HubSource("o/n", "a.pt", "refs/pr/1")),
        ("https://example.org/a.pt", HttpsSource("https://example.org/a.pt")),
        ("http://127.0.0.1:8000/a.pt", HttpsSource("http://127.0.0.1:8000/a.pt")),
        ("http://localhost/a.pt", HttpsSource("http://localhost/a.pt")),
        ("http://[::1]:80/a.pt", HttpsSource("http://[::1]:80/a.pt")),
        ("https://huggingface.co/o/n/blob/main/vae/a.pt", HubSource("o/n", "vae/a.pt")),
        ("https://huggingface.co/o/n/resolve/abc/a%20b.pt?download=true", HubSource("o/n", "a b.pt", "abc")),
        ("s3://bucket/vaes/a b.pt", BucketSource("s3", "bucket", "vaes/a b.pt")),
        ("GS://bucket/a%20b.pt", BucketSource("gs", "bucket", "a%20b.pt")),
        ("oss://bucket/a.pt", BucketSource("oss", "bucket", "a.pt")),
        ("memory://bucket/a.pt", BucketSource("memory", "bucket", "a.pt")),
        ("civitai:456", CivitaiSource(456)),
        ("civitai: 456", CivitaiSource(456)),
        ("hub: o/n/a.pt", HubSource("o/n", "a.pt")),
        ("https://huggingface.co/o/n/blob/main/a.pt%20", HubSource("o/n", "a.pt")),
        ("https://example.org/a.pt%0D%0A", HttpsSource("https://example.org/a.pt")),
        ("Civitai:456/my vae.safetensors", CivitaiSource(456, "my vae.safetensors")),
        ("https://civitai.com/models/123?modelVersionId=456", CivitaiSource(456)),
        ("https://civitai.com/models/123/some-vae?modelVersionId=456&dialog=x", CivitaiSource(456)),
        ("https://www.civitai.com/api/download/models/456", CivitaiSource(456)),
        ("https://civitai.com/api/download/models/456?type=Model&format=SafeTensor&token=x", CivitaiSource(456)),
        ("https://civitai.com/api/v1/model-versions/456", CivitaiSource(456)),
        ("https://civitai.com/other/a.pt", HttpsSource("https://civitai.com/other/a.pt")),
        ("https://civitai.com.example.org/models/1", HttpsSource("https://civitai.com.example.org/models/1")),
        ("/models/a.pt", LocalSource(Path("/models/a.pt"))),
        (" a.pt ", LocalSource(Path("a.pt"))),
        ("C:\\models\\a.pt", LocalSource(Path("C:\\models\\a.pt"))),
    ],
)
def test_what_people_write(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


HUB_FILE = HubSource("o/n", "vae/a.safetensors")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://hf.co/o/n/blob/main/vae/a.safetensors", HUB_FILE),
        ("https://www.huggingface.co/o/n/raw/main/vae/a.safetensors", HUB_FILE),
        ("http://huggingface.co/o/n/resolve/main/vae/a.safetensors", HUB_FILE),
        ("huggingface.co/o/n/blob/main/vae/a.safetensors", HUB_FILE),
        ("//huggingface.co/o/n/blob/main/vae/a.safetensors", HUB_FILE),
        ("HuggingFace.co/o/n/blob/main/vae/a.safetensors", HUB_FILE),
        ("https://huggingface.co/o/n/blob/main/vae/a.safetensors.", HUB_FILE),
        ("(https://huggingface.co/o/n/blob/main/vae/a.safetensors)".strip("("), HUB_FILE),
        ("https://huggingface.co/o/n/blob/main/vae/a.safetensors?download=true#x", HUB_FILE),
        ("“https://huggingface.co/o/n/blob/main/vae/a.safetensors”", HUB_FILE),
        ("`hub:o/n/vae/a.safetensors`", HUB_FILE),
        ("<https://huggingface.co/o/n/blob/main/vae/a.safetensors>", HUB_FILE),
        ("[the VAE](https://huggingface.co/o/n/blob/main/vae/a.safetensors)", HUB_FILE),
        ("https://huggingface.co/o/n/blob/main/\u200bvae/a.safe\u00adtensors\ufeff", HUB_FILE),
        ("\u00a0https://huggingface.co/o/n/blob/main/vae/a.safetensors\u3000", HUB_FILE),
        ("https://huggingface.co/o/n/blob/main/vae/\n a.safetensors", HUB_FILE),
        ("(https://huggingface.co/o/n/blob/main/vae/a.safetensors)", HUB_FILE),
        ("See https://huggingface.co/o/n/blob/main/vae/a.safetensors.", HUB_FILE),
        ("wget https://huggingface.co/o/n/resolve/main/vae/a.safetensors", HUB_FILE),
        ("wget -c 'https://huggingface.co/o/n/resolve/main/vae/a.safetensors'", HUB_FILE),
        ("hf://o/n/vae/a.safetensors", HUB_FILE),
        ("hf://models/o/n/vae/a.safetensors", HUB_FILE),
        ("hf://o/n@abc/vae/a.safetensors", HubSource("o/n", "vae/a.safetensors", "abc")),
        ("hf://o/n@refs%2Fpr%2F1/a.pt", HubSource("o/n", "a.pt", "refs/pr/1")),
        ("https://huggingface.co/o/n/blob/refs%2Fpr%2F1/a.pt", HubSource("o/n", "a.pt", "refs/pr/1")),
        ("https://huggingface.co/o/n/resolve/main/vae%40v2.safetensors", HubSource("o/n", "vae@v2.safetensors")),
        ("https://huggingface.co/o/n/resolve/abc/a@b.pt", HubSource("o/n", "a@b.pt", "abc")),
        ("https://huggingface.co/o/n/resolve/main/100%25.pt", HubSource("o/n", "100%.pt")),
        (
            "https://huggingface.co/datasets/o/n/resolve/main/a.pt",
            HttpsSource("https://huggingface.co/datasets/o/n/resolve/main/a.pt"),
        ),
        (
            "https://hf-mirror.com/o/n/blob/main/vae/a b.pt",
            HttpsSource("https://hf-mirror.com/o/n/resolve/main/vae/a%20b.pt"),
        ),
        ("hf-mirror.com/o/n/resolve/main/a%20b.pt", HttpsSource("https://hf-mirror.com/o/n/resolve/main/a%20b.pt")),
        (
            "https://www.modelscope.cn/models/o/n/file/view/master/vae%2Fa.pt?status=2",
            HttpsSource("https://modelscope.cn/models/o/n/resolve/master/vae/a.pt"),
        ),
        (
            "https://modelscope.cn/models/o/n/resolve/master/a.pt",
            HttpsSource("https://modelscope.cn/models/o/n/resolve/master/a.pt"),
        ),
        (
            "https://modelscope.cn/api/v1/models/o/n/repo?Revision=v1&FilePath=vae%2Fa.pt",
            HttpsSource("https://modelscope.cn/models/o/n/resolve/v1/vae/a.pt"),
        ),
        ("https://civitai.red/models/123?modelVersionId=456", CivitaiSource(456)),
        ("https://www.civitai.red/api/download/models/456", CivitaiSource(456)),
        ("civitai.com/models/123/x?modelVersionId=456", CivitaiSource(456)),
        ("civitai:123@456", CivitaiSource(456)),
        ("urn:air:sd1:vae:civitai:123@456", CivitaiSource(456)),
        ("urn:air:sd1:vae:civitai:123@456.safetensors", CivitaiSource(456)),
        ("URN:AIR:sdxl:vae:civitai:123@456?x=y", CivitaiSource(456)),
        ("air:sd1:vae:civitai:123@456", CivitaiSource(456)),
        ("\u202aC:\\models\\a.pt", LocalSource(Path("C:\\models\\a.pt"))),
        ('"C:\\models\\my vae.pt"', LocalSource(Path("C:\\models\\my vae.pt"))),
        ("'/models/a.pt'", LocalSource(Path("/models/a.pt"))),
    ],
)
def test_what_people_paste(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


ADDRESS = "https://huggingface.co/o/n/resolve/main/vae/a_b.safetensors"
MARKED = HubSource("o/n", "vae/a_b.safetensors")


@pytest.mark.parametrize(
    "around",
    [
        "**{}**", "*{}*", "__{}__", "~~{}~~", "||{}||", "```\n{}\n```", "> {}", "- {}", "1. {}", "({}).", "![x]({})",
        '[the VAE]({} "a title")', "[{0}]({0})", "[the VAE](<{}>)", "[url]{}[/url]", "[url={}]the VAE[/url]",
        '<a href="{}">the VAE</a>', "<a href='{}' target=_blank>", 'href="{}"', "&lt;{}&gt;", "<{}|the VAE>",
        "VAE: {}", "VAE:{}", "get {} and put it into models/VAE", "{} thanks!", "{}\\", "{}?download=true, thanks",
        "curl -L {} -o vae.safetensors", "curl -L '{}' --output x", 'curl -H "Authorization: Bearer hf_a" {}',
        "!wget {} -P /content", "wget -O a.pt {}", "aria2c -x 16 {} -d / -o y", "Invoke-WebRequest -Uri {} -OutFile x",
        "view-source:{}", "https://{}", "http://{}", "https://www.google.com/url?q={}&sa=D",
    ],
)  # fmt: skip
def test_what_is_around_an_address_is_taken_away(around: str) -> None:
    assert parse_source(around.format(ADDRESS)) == MARKED


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ADDRESS.replace("/", "\\/"), MARKED),
        (ADDRESS.replace("_", "\\_"), MARKED),
        (ADDRESS.replace("https://", "hxxps://"), MARKED),
        (ADDRESS.replace("https://", "https:/"), MARKED),
        (ADDRESS.replace("https://", "https//"), MARKED),
        (ADDRESS.replace("https://", "ttps://"), MARKED),
        (ADDRESS.replace("https:", "HTTPS:"), MARKED),
        (ADDRESS.replace(":", "%3A").replace("/", "%2F"), MARKED),
        ("https://l.facebook.com/l.php?u=" + ADDRESS.replace(":", "%3A").replace("/", "%2F") + "&h=x", MARKED),
        ("https://huggingface.co:443/o/n/blob/main/vae/a_b.safetensors", MARKED),
        ("https://huggingface.co//o/n/blob/main/vae/a_b.safetensors", MARKED),
        ("https://huggingface.co/o/n/blame/main/vae/a_b.safetensors", MARKED),
        ("https://huggingface.co/o/n/tree/main?show_file_info=vae%2Fa_b.safetensors", MARKED),
        ("huggingface-cli download o/n vae/a_b.safetensors --local-dir .", MARKED),
        ("hf download o/n vae/a_b.safetensors", MARKED),
        ('hf_hub_download(repo_id="o/n", filename="vae/a_b.safetensors")', MARKED),
        ("https://civitai.com/models/1/x?foo=1&amp;modelVersionId=456", CivitaiSource(456)),
        ("https://civitai.com/zh/models/1?modelVersionId=456", CivitaiSource(456)),
        ("https://civitai.com/models/1/x?modelVersionId=456, thanks", CivitaiSource(456)),
        ("https://civitai.red/model-versions/456", CivitaiSource(456)),
        (
            "https://modelscope.cn/models/o/n/file/view/master?fileName=a.safetensors&status=2",
            HttpsSource("https://modelscope.cn/models/o/n/resolve/master/a.safetensors"),
        ),
        (
            "https://huggingface.co/datasets/o/n/blob/main/a.pt",
            HttpsSource("https://huggingface.co/datasets/o/n/resolve/main/a.pt"),
        ),
        ("https://github.com/o/n/blob/main/a.pt", HttpsSource("https://github.com/o/n/raw/main/a.pt")),
        ("https://www.dropbox.com/s/x/a.pt?dl=0", HttpsSource("https://www.dropbox.com/s/x/a.pt?dl=1")),
        ("https://例え.example/a.pt", HttpsSource("https://例え.example/a.pt")),
        ("https://[2001:db8::1]:8443/a.pt", HttpsSource("https://[2001:db8::1]:8443/a.pt")),
    ],
)
def test_other_spellings_of_an_address(text: str, expected: Source) -> None:
    assert parse_source(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/a?next=https://example.org/b",
        "https://example.org/fetch/https://example.net/a.pt",
        "https://example.org/a?x=1&copy=2&amp",
        "https://example.org/a_b__",
        "https://example.org/a.pt?list=a,b;c|d",
        "https://example.org/(a).pt",
        "https://example.org/a*b~c",
        "https://u.example.org/url?q=https://example.org/b",
    ],
)
def test_an_address_that_stands_alone_stays_as_it_is(text: str) -> None:
    assert parse_source(text) == HttpsSource(text)


@pytest.mark.parametrize("between", ["\n", " ", ", ", "; ", ",", "|", " or "])
def test_of_several_addresses_none_is_chosen(between: str) -> None:
    with fails_with(UsageError, "several-addresses", count=2):
        parse_source(f"{ADDRESS}{between}https://huggingface.co/o/n/blob/main/other.safetensors")


@pytest.mark.parametrize(
    "text", ["AutoencoderKL.from_pretrained('o/n', subfolder=\"vae\")", "git clone https://huggingface.co/o/n"]
)
def test_a_command_for_a_whole_repository(text: str) -> None:
    with pytest.raises(WholeRepositoryError) as whole:
        parse_source(text)
    assert (whole.value.repo, whole.value.folder in ("", "vae")) == ("o/n", True)


@pytest.mark.parametrize(
    "text",
    [
        *("https://huggingface.co", "huggingface.co/", "https://huggingface.co/stabilityai", "hf.co/stabilityai/"),
        *("https://huggingface.co/models?search=vae", "https://huggingface.co/docs/diffusers/api/models/autoencoderkl"),
        *("https://huggingface.co/collections/o/vaes-123", "https://huggingface.co/spaces/o/n"),
    ],
)
def test_a_page_of_a_hub_without_a_file(text: str) -> None:
    with fails_with(UsageError, "no-file-page"):
        typed_source(text)


def test_an_address_of_a_hub_that_is_no_page_is_left_as_it_is() -> None:
    for path in ("api/resolve-cache/models/o/n/abc/a.pt", "datasets/o/n/resolve/main/a.pt", "spaces/o/n/raw/main/a.pt"):
        assert isinstance(typed_source(f"https://huggingface.co/{path}"), HttpsSource)


@pytest.mark.parametrize("host", ["a..b", "a b", "x" * 64 + ".org", "."])
def test_what_no_host_can_be_called(host: str) -> None:
    with fails_with(UsageError, "not-https"):
        parse_source(f"https://{host}/a.pt")


@pytest.mark.parametrize(
    "source",
    [HubSource("o/n", "a@b.pt"), HubSource("o/n", "a%40b.pt", "abc"), HubSource("o/n", "100%.pt", "refs/pr/1")],
)
def test_a_name_with_a_sign_of_the_notation_survives(source: HubSource) -> None:
    assert parse_source(str(source)) == source


def test_owner_repository_and_path_are_a_file_of_the_hub_unless_they_are_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    here = Path("o", "n", "a.pt")
    assert typed_source("o/n/a.pt") == HubSource("o/n", "a.pt")
    here.parent.mkdir(parents=True)
    here.touch()
    assert typed_source("o/n/a.pt") == LocalSource(here)
    assert typed_source("o/n/a.pt", remote_users=True) == HubSource("o/n", "a.pt")
    for text in ("./o/n/b.pt", "/o/n/b.pt", "../o/b.pt", "o/b.pt", "o\\n\\b.pt", "b.pt"):
        assert isinstance(typed_source(text), LocalSource), text
    for text in ("stabilityai/sdxl-vae", "hub:stabilityai/sdxl-vae", "hub:o/n@abc", "o/n@abc"):
        with pytest.raises(UsageError) as caught:
            typed_source(text)
        assert caught.value.message.code == "whole-repository"


def test_an_address_without_its_scheme_begins_with_a_host() -> None:
    assert typed_source("example.org/vae.safetensors") == HttpsSource("https://example.org/vae.safetensors")
    assert typed_source("dl.example.org/foo/vae.safetensors") == HttpsSource(
        "https://dl.example.org/foo/vae.safetensors"
    )


FILE = HubSource("o/n", "vae/a.safetensors")
"""The file that the pages below show."""


@pytest.mark.parametrize(
    ("text", "endpoint", "expected"),
    [
        ("http://127.0.0.1:8070/o/n/blob/main/vae/a.safetensors", "http://127.0.0.1:8070", FILE),
        ("127.0.0.1:8070/o/n/blob/main/vae/a.safetensors", "http://127.0.0.1:8070/", FILE),
        ("“http://127.0.0.1:8070/o/n/resolve/main/vae/a.safetensors?download=true”", "http://127.0.0.1:8070", FILE),
        ("http://127.0.0.1:8070/o/n/tree/main?show_file_info=vae/a.safetensors", "http://127.0.0.1:8070", FILE),
        ("http://hub.example.org/o/n/blob/main/vae/a.safetensors", "https://Hub.example.org:443", FILE),
        ("hub.example.org/hf/o/n/blob/main/vae/a.safetensors", "https://hub.example.org/hf/", FILE),
        ("https://hf-mirror.com/o/n/blob/main/vae/a.safetensors", "https://hf-mirror.com", FILE),
        (
            "https://hub.example.org/datasets/o/n/blob/main/a.pt",
            "https://hub.example.org",
            HttpsSource("https://hub.example.org/datasets/o/n/resolve/main/a.pt"),
        ),
        (
            "https://hub.example.org/files/a.safetensors",
            "https://hub.example.org",
            HttpsSource("https://hub.example.org/files/a.safetensors"),
        ),
        (
            "https://hub.example.org/o/n/blob/main/a.safetensors",
            "https://hub.example.org/hf",
            HttpsSource("https://hub.example.org/o/n/blob/main/a.safetensors"),
        ),
        (
            "http://127.0.0.1:8071/o/n/blob/main/a.safetensors",
            "http://127.0.0.1:8070",
            HttpsSource("http://127.0.0.1:8071/o/n/blob/main/a.safetensors"),
        ),
        (
            "https://example.org/o/n/blob/main/a.safetensors",
            "example.org:port",
            HttpsSource("https://example.org/o/n/blob/main/a.safetensors"),
        ),
    ],
)
def test_a_page_of_the_hub_that_is_set_means_its_file(text: str, endpoint: str, expected: Source) -> None:
    assert typed_source(text, endpoint=endpoint) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf download o/n a.pt --revision abc", HubSource("o/n", "a.pt", "abc")),
        ("hf download --repo-type model --quiet 'o/n' \\\n  --local-dir=. \"a b.pt\"", HubSource("o/n", "a b.pt")),
        ("huggingface-cli download --resume-download o/n v/a@2.pt && ls", HubSource("o/n", "v/a@2.pt")),
        ('hf_hub_download("o/n", "a.pt", revision="abc", token="hf_x")', HubSource("o/n", "a.pt", "abc")),
        ('hf_hub_download(filename="a.pt", repo_id="o/n", subfolder="vae")', HubSource("o/n", "vae/a.pt")),
        ("hf_hub_url(repo_id='o/n', filename='a.pt')", HubSource("o/n", "a.pt")),
        ("https://huggingface.co/o/n/resolve/refs/pr/5/vae/a.pt", HubSource("o/n", "vae/a.pt", "refs/pr/5")),
        ("hf://o/n@refs/pr/5/vae/a.pt", HubSource("o/n", "vae/a.pt", "refs/pr/5")),
        ("o/n/blob/main/vae/a.pt", HubSource("o/n", "vae/a.pt")),
        ("o/n/resolve/abc/a%20b.pt?download=true", HubSource("o/n", "a b.pt", "abc")),
        ("https://huggingface.co/o/n/blob/main/a.safetensors。", HubSource("o/n", "a.safetensors")),
        ("请下载 https://huggingface.co/o/n/blob/main/a.safetensors，谢谢", HubSource("o/n", "a.safetensors")),
        ("https://example.org/a.safetensors。镜像", HttpsSource("https://example.org/a.safetensors")),
        ("https：//huggingface.co/o/n/blob/main/a.pt", HubSource("o/n", "a.pt")),
        ("https://huggingface.co/o/n/blob/main/a.pt/", HubSource("o/n", "a.pt")),
        ("https://example.org/a.safetensors. Thanks", HttpsSource("https://example.org/a.safetensors")),
        ("file:///vaes/a%20b.pt", LocalSource(Path("/vaes/a b.pt"))),
        ("file://localhost/C:/vaes/a.pt", LocalSource(Path("C:/vaes/a.pt"))),
    ],
)
def test_what_else_is_pasted(text: str, expected: Source) -> None:
    assert typed_source(text) == expected


@pytest.mark.parametrize(
    ("text", "folder", "revision"),
    [
        ("git clone https://huggingface.co/o/n.git", "", None),
        ("git@hf.co:o/n.git", "", None),
        ("o/n/tree/main/vae", "vae", None),
        ("hf download o/n --revision refs/pr/5", "", "refs/pr/5"),
        ("hf download o/n a.pt b.pt", "", None),
        ('snapshot_download(repo_id="o/n", allow_patterns=["*.pt"])', "", None),
        ('AutoencoderKL.from_pretrained("o/n", subfolder="vae", revision="abc")', "vae", "abc"),
    ],
)
def test_what_else_means_a_repository(text: str, folder: str, revision: str | None) -> None:
    with pytest.raises(WholeRepositoryError) as caught:
        typed_source(text)
    assert (caught.value.repo, caught.value.folder, caught.value.revision) == ("o/n", folder, revision)


@pytest.mark.parametrize("text", ["file:///etc/passwd", "file://server/share/a.pt"])
def test_a_file_address_is_the_owners_alone_and_of_this_machine(text: str) -> None:
    with pytest.raises(UsageError):
        typed_source(text, remote_users=True)


@pytest.mark.parametrize("text", ["hf download o/n a.pt --repo-type dataset", 'from_pretrained("./here")'])
def test_a_command_for_something_else_is_no_file_of_a_model(text: str) -> None:
    assert isinstance(typed_source(text), LocalSource)


@pytest.mark.parametrize("text", ["http://127.0.0.1:8070/o/n", "127.0.0.1:8070/o/n/tree/main", "hf-mirror.com/o/n"])
def test_a_repository_of_the_hub_that_is_set_can_be_listed(text: str) -> None:
    endpoint = "https://hf-mirror.com" if "mirror" in text else "http://127.0.0.1:8070"
    with pytest.raises(WholeRepositoryError) as caught:
        typed_source(text, endpoint=endpoint)
    assert caught.value.repo == "o/n"


@pytest.mark.parametrize("text", ["masterpiece, " * 40, "~nosuch/x.safetensors", "~nosuch"])
@pytest.mark.parametrize("remote_users", [True, False])
def test_any_text_can_be_a_path(text: str, remote_users: bool) -> None:
    assert typed_source(text, remote_users=remote_users) == LocalSource(Path(text.strip()))


def test_a_home_folder_is_the_owners_alone_to_name() -> None:
    here = LocalSource(Path("~/x.safetensors").expanduser())
    assert typed_source("~/x.safetensors") == here
    assert typed_source("~/x.safetensors", remote_users=True) == LocalSource(Path("~/x.safetensors"))


@pytest.mark.parametrize(
    "text",
    [
        "hub:o/n/a.pt",
        "hub:o/n/v/a.pt@abc",
        "https://example.org/a.pt",
        "/models/a.pt",
        "s3://bucket/vaes/a b.pt",
        "civitai:456",
        "civitai:456/my vae.safetensors",
    ],
)
def test_a_source_prints_as_it_is_written(text: str) -> None:
    assert str(parse_source(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "hub:",
        "hub:o/n",
        "hub:o/n/",
        "hub:o/n/../../secret",
        "hub:o/n/a//b",
        "hub:o/n/a\\b",
        "hub:../n/a",
        "hub:o/n/a@",
        "hub:o/n/a@../x",
        "hub:o/n?x/a",
        "http://example.org/a.pt",
        "http://127.0.0.1.example.org/a.pt",
        "http://localhost.example.org/a.pt",
        "http://10.0.0.1/a.pt",
        "https://",
        "https://user:pass@example.org/a.pt",
        "https://token@example.org/a.pt",
        "https://example.org:port/a.pt",
        "https://[::1/a.pt",
        "ftp://example.org/a.pt",
        "file:///etc/passwd",
        "https://example.org/a\nb",
        "s3://",
        "s3://bucket",
        "s3://bucket/",
        "s3:///a.pt",
        "s3://bucket/../a.pt",
        "s3://bucket/a//b.pt",
        "s3://bucket/a.pt::zip://b",
        "s3://bucket/a.pt?versionId=1",
        "s3://bucket/a.pt#x",
        "s3://key:secret@bucket/a.pt",
        "simplecache::s3://bucket/a.pt",
        "zip://a.pt::/models/a.zip",
        "local:///etc/passwd",
        "sftp://host/a.pt",
        "webdav://host/a.pt",
        "hf://o/n",
        "hf://datasets/o/n/a.pt",
        "hf://spaces/o/n/a.pt",
        "hf://o/n@../a.pt",
        "https://huggingface.co/o/n",
        "https://huggingface.co/o/n/",
        "https://huggingface.co/o/n/tree/main",
        "https://huggingface.co/o/n/tree/main/vae",
        "https://hf-mirror.com/o/n",
        "https://www.modelscope.cn/models/o/n",
        "https://modelscope.cn/models/o/n/files",
        "https://huggingface.co/o/n/resolve/main/../../x/a.pt",
        "https://civitai.red/models/123",
        "urn:air:sd1:vae:civitai:123",
        "urn:air:sd1:vae:civitai:123@x",
        "urn:air:sdxl:vae:huggingface:stabilityai/sdxl-vae",
        "urn:air:sd1:vae:elsewhere:1@2",
        "urn:air:",
        "civitai:",
        "civitai:x",
        "civitai:0",
        "civitai:456/",
        "https://civitai.com/models/123",
        "https://civitai.com/models/123?modelVersionId=x",
    ],
)
def test_what_is_not_a_source(text: str) -> None:
    with pytest.raises(UsageError):
        parse_source(text)


def test_plain_http_is_named_as_the_reason() -> None:
    with pytest.raises(UsageError, match="plain http"):
        parse_source("http://example.org/a.pt")


def test_a_file_name_at_civitai_is_one_name() -> None:
    with pytest.raises(RefusedError):
        parse_source("civitai:456/../x.safetensors")


@pytest.mark.parametrize(
    "text",
    [
        "s3://key:hunter2@bucket/a.pt",
        "az://container/a.pt?sig=hunter2",
        "sftp://me:hunter2@host/a.pt",
        "https://me:hunter2@example.org/a.pt",
        "http://example.org/a.pt?token=hunter2",
        "https://example.org:port/a.pt?token=hunter2",
        "urn:air:sd1:vae:elsewhere:1@2?token=hunter2",
    ],
)
def test_what_could_be_a_secret_is_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_source(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("hub:o/n/v/a.pt@abc", "a.pt"),
        ("https://example.org/x/a%20b.pt?y=z", "a b.pt"),
        ("s3://bucket/x/a%20b.pt", "a%20b.pt"),
        ("civitai:456/a.pt", "a.pt"),
        ("civitai:456", None),
        ("/models/a.pt", "a.pt"),
    ],
)
def test_the_name_at_a_source(text: str, name: str | None) -> None:
    assert name_at(parse_source(text)) == name
