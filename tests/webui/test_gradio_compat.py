"""What the page asks gradio, of both generations: here, who is signed in."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("gradio")

from starlette.requests import Request

from vae_manager.webui.ui.gradio_compat import signed_in

TOKENS = {"secret": "me"}


def asked_with(cookie: str) -> Request:
    return Request({"type": "http", "headers": [(b"cookie", cookie.encode())]})


@pytest.mark.parametrize(
    ("app", "name"),
    [
        (SimpleNamespace(auth={"me": "1"}, tokens=TOKENS), "access-token"),
        (SimpleNamespace(auth={"me": "1"}, tokens=TOKENS), "access-token-unsecure"),
        (SimpleNamespace(auth={"me": "1"}, tokens=TOKENS, cookie_id="x", auth_dependency=None), "access-token-x"),
        (SimpleNamespace(auth={"me": "1"}, tokens=TOKENS, cookie_id="x"), "access-token-unsecure-x"),
    ],
)
def test_the_cookie_of_this_server_alone_counts(app: SimpleNamespace, name: str) -> None:
    assert signed_in(app, asked_with(f"{name}=secret"))
    assert not signed_in(app, asked_with(f"{name}=other"))
    assert not signed_in(app, asked_with(f"{name}-y=secret"))
    assert not signed_in(app, asked_with(""))


def test_without_a_sign_in_everybody_may_ask() -> None:
    assert signed_in(SimpleNamespace(auth=None, tokens={}), asked_with(""))


def test_another_apps_sign_in_decides_inside_of_it() -> None:
    app = SimpleNamespace(auth=None, tokens={}, auth_dependency=lambda request: request.cookies.get("user"))
    assert signed_in(app, asked_with("user=me"))
    assert not signed_in(app, asked_with(""))
