"""Admission of requests: headers, the client's address, the interface of the server, and added names."""

from __future__ import annotations

import pytest

from vae_manager.errors import NotAdmittedError
from vae_manager.webui.admission import FLAG, Listening, admit, is_loopback, names_in, no_names_in

LOCAL = Listening(is_loopback=True)
SHARED = Listening(is_loopback=False)
PROXIED = Listening(is_loopback=True, allowed=names_in("sd.example, other.example:8443"))
SHARED_PROXIED = Listening(is_loopback=False, allowed=names_in("sd.example"))
TUNNELLED = Listening(is_loopback=True, allowed=names_in("*.tunnel.example"))
HERE, FAR = "127.0.0.1", "203.0.113.7"

HOST = ("Host", "127.0.0.1:7860")
OWN = ("Origin", "http://127.0.0.1:7860")
SAME = ("Sec-Fetch-Site", "same-origin")

ADMITTED = [
    pytest.param(LOCAL, [HOST, OWN, SAME], id="the page"),
    pytest.param(LOCAL, [HOST, ("Sec-Fetch-Site", "none")], id="typed into the browser"),
    pytest.param(LOCAL, [HOST], id="a program"),
    pytest.param(LOCAL, [("HOST", "127.0.0.1:7860")], id="header names in any case"),
    pytest.param(LOCAL, [("Host", "localhost:7860"), ("Origin", "http://localhost:7860")], id="localhost"),
    pytest.param(LOCAL, [("Host", "sd.localhost")], id="below localhost"),
    pytest.param(LOCAL, [("Host", "127.8.9.1:80"), ("Origin", "http://127.8.9.1")], id="127/8, default port"),
    pytest.param(LOCAL, [("Host", "[::1]:7860"), ("Origin", "http://[::1]:7860")], id="IPv6"),
    pytest.param(LOCAL, [("Host", "LocalHost."), ("Origin", "http://localhost")], id="case and last dot"),
    pytest.param(SHARED, [("Host", "box.lan:7860"), ("Origin", "http://box.lan:7860")], id="shared: any name"),
    pytest.param(SHARED, [("Host", "x.live"), ("Origin", "https://x.live"), SAME], id="shared: a tunnel with TLS"),
    pytest.param(PROXIED, [("Host", "sd.example"), ("Origin", "https://sd.example"), SAME], id="proxy that keeps Host"),
    pytest.param(PROXIED, [HOST, ("Origin", "https://sd.example"), SAME], id="proxy that sets Host"),
    pytest.param(PROXIED, [HOST, ("X-Forwarded-Host", "sd.example"), ("Origin", "https://sd.example")], id="and says"),
    pytest.param(PROXIED, [("Host", "sd.example"), ("Origin", "https://sd.example:444")], id="proxy that drops a port"),
    pytest.param(PROXIED, [HOST, ("Origin", "https://other.example:8443")], id="a name with its port"),
    pytest.param(LOCAL, [("Host", "0.0.0.0:7860"), ("Origin", "http://0.0.0.0:7860")], id="the address printed"),
    pytest.param(LOCAL, [("Host", "[::]:7860"), ("Origin", "http://[::]:7860")], id="that of IPv6"),
    pytest.param(
        TUNNELLED, [("Host", "a.tunnel.example"), ("Origin", "https://a.tunnel.example"), SAME], id="a new name a day"
    ),
    pytest.param(
        TUNNELLED,
        [HOST, ("X-Forwarded-Host", "b.a.tunnel.example"), ("Origin", "https://b.a.tunnel.example"), SAME],
        id="and a tunnel that sets Host",
    ),
    pytest.param(SHARED_PROXIED, [("Host", "10.0.0.2:1"), ("Origin", "https://sd.example")], id="shared and proxied"),
]

REFUSED = [
    pytest.param(LOCAL, [HOST, ("Origin", "https://evil.example")], "foreign-page", id="another origin"),
    pytest.param(LOCAL, [HOST, ("Origin", "http://127.0.0.1:8000")], "foreign-page", id="another port"),
    pytest.param(LOCAL, [HOST, ("Origin", "http://localhost:7860")], "foreign-page", id="another name of this machine"),
    pytest.param(LOCAL, [HOST, ("Origin", "null")], "foreign-page", id="a sandboxed frame"),
    pytest.param(LOCAL, [HOST, ("Origin", "file://")], "foreign-page", id="a file"),
    pytest.param(LOCAL, [HOST, ("Origin", "chrome-extension://127.0.0.1:7860")], "foreign-page", id="a browser's own"),
    pytest.param(LOCAL, [HOST, ("Origin", "http://x@127.0.0.1:7860")], "foreign-page", id="user part"),
    pytest.param(LOCAL, [HOST, ("Origin", "http://127.0.0.1:7860/")], "foreign-page", id="no origin at all"),
    pytest.param(LOCAL, [HOST, ("Origin", "http://127.0.0.1:99999")], "foreign-page", id="no port"),
    pytest.param(LOCAL, [HOST, OWN, ("Origin", "http://evil.example")], "foreign-page", id="two origins"),
    pytest.param(LOCAL, [HOST, ("Sec-Fetch-Site", "cross-site")], "foreign-page", id="cross-site GET"),
    pytest.param(LOCAL, [HOST, ("Sec-Fetch-Site", "same-site")], "foreign-page", id="another port, GET"),
    pytest.param(LOCAL, [HOST, OWN, ("Sec-Fetch-Site", "Cross-Site")], "foreign-page", id="they contradict"),
    pytest.param(LOCAL, [HOST, ("Sec-Fetch-Site", "")], "foreign-page", id="an empty Sec-Fetch-Site"),
    pytest.param(LOCAL, [("Host", "evil.example"), ("Origin", "http://evil.example"), SAME], "unknown-name", id="DNS"),
    pytest.param(LOCAL, [("Host", "evil.example:7860")], "unknown-name", id="rebinding, GET"),
    pytest.param(LOCAL, [("Host", "127.0.0.1.evil.example")], "unknown-name", id="begins like this machine"),
    pytest.param(LOCAL, [("Host", "localhost.evil.example")], "unknown-name", id="begins like localhost"),
    pytest.param(LOCAL, [("Host", "notlocalhost")], "unknown-name", id="ends like localhost"),
    pytest.param(LOCAL, [("Host", "0.0.0.1:7860")], "unknown-name", id="no address"),
    pytest.param(LOCAL, [("Host", "0.0.0.0:7860"), ("Origin", "http://evil.example")], "foreign-page", id="0.0.0.0"),
    pytest.param(TUNNELLED, [("Host", "tunnel.example")], "unknown-name", id="not below the name itself"),
    pytest.param(TUNNELLED, [("Host", "eviltunnel.example")], "unknown-name", id="ends like it"),
    pytest.param(TUNNELLED, [("Host", "a.tunnel.example.evil")], "unknown-name", id="begins like it"),
    pytest.param(TUNNELLED, [HOST, ("Origin", "https://evil.tunnel.example")], "foreign-page", id="another's tunnel"),
    pytest.param(
        TUNNELLED, [("Host", "a.tunnel.example"), ("Origin", "https://evil.tunnel.example")], "foreign-page",
        id="from tunnel to tunnel",
    ),
    pytest.param(
        TUNNELLED,
        [HOST, ("X-Forwarded-Host", "a.tunnel.example"), ("Origin", "https://evil.tunnel.example")],
        "foreign-page",
        id="and where it sets Host",
    ),
    pytest.param(LOCAL, [("Host", "evil@127.0.0.1")], "unknown-name", id="host with a user"),
    pytest.param(LOCAL, [("Host", "127.0.0.1/evil")], "unknown-name", id="host with a path"),
    pytest.param(LOCAL, [("Host", "")], "unknown-name", id="empty host"),
    pytest.param(LOCAL, [], "unknown-name", id="no host"),
    pytest.param(LOCAL, [HOST, ("Host", "127.0.0.1:7860")], "unknown-name", id="two hosts"),
    pytest.param(LOCAL, [HOST, ("X-Forwarded-Host", "evil.example")], "unknown-name", id="rebinding of a proxy"),
    pytest.param(LOCAL, [HOST, ("X-Forwarded-Host", "localhost, evil.example")], "unknown-name", id="and a second one"),
    pytest.param(LOCAL, [HOST, ("X-Original-Host", "evil.example")], "unknown-name", id="another header for it"),
    pytest.param(SHARED, [("Host", "box.lan:7860"), ("Origin", "http://evil.example")], "foreign-page", id="shared"),
    pytest.param(SHARED, [("Host", "box.lan:7860"), ("Origin", "http://box.lan:80")], "foreign-page", id="port"),
    pytest.param(SHARED, [("Host", "box.lan"), ("Origin", "http://box.lan:7860")], "foreign-page", id="no port, port"),
    pytest.param(
        SHARED,
        [("Host", "10.0.0.2"), ("X-Forwarded-Host", "sd.example"), ("Origin", "https://sd.example")],
        "foreign-page",
        id="a proxy that was not added",
    ),
    pytest.param(PROXIED, [HOST, ("Origin", "https://evil.sd.example")], "foreign-page", id="below an added name"),
    pytest.param(PROXIED, [HOST, ("Origin", "https://other.example")], "foreign-page", id="another port of a name"),
    pytest.param(PROXIED, [HOST, ("Origin", "https://sd.example"), ("Sec-Fetch-Site", "cross-site")], "foreign-page",
                 id="an added page itself, from outside"),
]  # fmt: skip


@pytest.mark.parametrize(("listening", "headers"), ADMITTED)
def test_admitted(listening: Listening, headers: list[tuple[str, str]]) -> None:
    admit(headers, HERE, listening)


@pytest.mark.parametrize(("listening", "headers", "code"), REFUSED)
def test_refused(listening: Listening, headers: list[tuple[str, str]], code: str) -> None:
    with pytest.raises(NotAdmittedError) as refused:
        admit(headers, HERE, listening)
    assert refused.value.code == code


@pytest.mark.parametrize(
    "headers",
    [
        [("Host", "sd.example")],
        [HOST, ("Origin", "https://sd.example")],
        [HOST, ("X-Forwarded-Host", "sd.example"), ("Origin", "https://sd.example")],
    ],
)
def test_a_refusal_of_a_proxy_names_the_line_that_admits_it(headers: list[tuple[str, str]]) -> None:
    with pytest.raises(NotAdmittedError, match=f"{FLAG} sd.example"):
        admit(headers, HERE, LOCAL)


@pytest.mark.parametrize(
    ("listening", "client", "headers", "is_owner"),
    [
        (LOCAL, HERE, [HOST], True),
        (PROXIED, HERE, [("Host", "sd.example")], True),
        (SHARED, HERE, [HOST], True),
        (SHARED, "::1", [("Host", "[::1]:7860")], True),
        (SHARED, HERE, [("Host", "0.0.0.0:7860")], True),
        (SHARED, FAR, [("Host", "0.0.0.0:7860")], False),
        (SHARED, "::ffff:127.0.0.1", [HOST], True),
        (SHARED, FAR, [("Host", "box.lan:7860")], False),
        (SHARED, FAR, [HOST], False),
        (SHARED, HERE, [("Host", "x.gradio.live")], False),
        (SHARED, HERE, [HOST, ("X-Forwarded-For", FAR)], False),
        (SHARED, HERE, [HOST, ("Via", "1.1 proxy")], False),
        (SHARED, HERE, [HOST, ("Forwarded", "for=1.2.3.4")], False),
        (SHARED, None, [HOST], False),
        (SHARED, "testclient", [HOST], False),
    ],
)
def test_the_owner_is_at_this_machine(
    listening: Listening, client: str | None, headers: list[tuple[str, str]], is_owner: bool
) -> None:
    assert admit(headers, client, listening).is_owner is is_owner


def test_names_of_this_machine() -> None:
    assert all(map(is_loopback, ["127.0.0.1", "127.255.0.9", "::1", "localhost", "a.b.localhost", "LOCALHOST."]))
    assert not any(map(is_loopback, ["", "10.0.0.1", "0.0.0.0", "::", "localhost.example", "xlocalhost", "127.1"]))


def test_names_in_a_list() -> None:
    typed = " https://SD.Example/path, [2001:db8::1]:7860\nx.example:8443,,http://a@b, *, "
    assert names_in(typed) == {("sd.example", None), ("2001:db8::1", 7860), ("x.example", 8443)}
    assert names_in("") == frozenset()
    assert no_names_in(typed) == ["http://a@b", "*"]


@pytest.mark.parametrize(
    ("typed", "name"),
    [
        ("2001:db8::1", ("2001:db8::1", None)),
        ("Bücher.example:8443", ("xn--bcher-kva.example", 8443)),
        ("a.example;b.example", ("b.example", None)),
        ("*.Tunnel.example", ("*.tunnel.example", None)),
        ("https://*.tunnel.example/x", ("*.tunnel.example", None)),
    ],
)
def test_names_as_people_type_them(typed: str, name: tuple[str, int | None]) -> None:
    assert name in names_in(typed)
    assert no_names_in(typed) == []


@pytest.mark.parametrize("host", ["sd.example", "fd00::5", "xn--bcher-kva.example", "10.0.0.5"])
def test_the_line_of_a_refusal_admits(host: str) -> None:
    """The suggested flag admits any refused name."""
    origin = f"https://[{host}]:1" if ":" in host else f"https://{host}:1"
    with pytest.raises(NotAdmittedError) as refused:
        admit([HOST, ("Origin", origin)], HERE, LOCAL)
    line = str(refused.value.message).partition(f"{FLAG} ")[2].split(", or")[0]
    admit([HOST, ("Origin", origin)], HERE, Listening(is_loopback=True, allowed=names_in(line)))
