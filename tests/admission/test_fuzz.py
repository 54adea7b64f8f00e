"""Requests by chance, made from the document that the WebUI serves; `python tasks.py prove api` makes thousands."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some
from hypothesis.strategies import DataObject, SearchStrategy

from tests.admission.conftest import Target
from tests.admission.programs import PATH, picture
from tests.host.asking import BAD, GOOD, OTHER
from tests.host.fixtures import WebUI

pytestmark = pytest.mark.torch

KNOWN: dict[str, list[Any]] = {
    "vae": ["None", "Automatic", GOOD, OTHER, BAD],
    "vaes": [["None", GOOD], ["None", GOOD, "gone"]],
    "entry": ["mine", "ft-mse"],
    "address": ["hub:me/vaes/mine.safetensors", "http://127.0.0.1:9/x.safetensors", "/etc/passwd"],
    "key": ["verify-all", "1", "trial-1"],
    "picture": [base64.b64encode(picture()).decode()],
}
"""Values that mean something here: without them only the first check of a field would be tried."""
ANYTHING = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(some.characters(), max_size=20),
    lambda inner: some.lists(inner, max_size=3) | some.dictionaries(some.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
SLOW = settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@pytest.fixture(scope="module")
def document(webui: WebUI) -> dict[str, Any]:
    found: dict[str, Any] = requests.get(f"{webui.url}/openapi.json", timeout=60).json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        if path.startswith(PATH)
        for method, operation in methods.items()
    ]


def fields_of(operation: dict[str, Any]) -> dict[str, Any]:
    if "requestBody" not in operation:
        return {}
    found: dict[str, Any] = operation["requestBody"]["content"]["application/json"]["schema"]["properties"]
    return found


def value_for(name: str, schema: dict[str, Any]) -> SearchStrategy[Any]:
    """Values that the document allows, those that mean something here, and others."""
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    right = [some.sampled_from(KNOWN[name])] if name in KNOWN else []
    right += [some.booleans()] if "boolean" in kinds else []
    right += [some.text(max_size=30)] if "string" in kinds else []
    right += [some.lists(some.text(max_size=10), max_size=3)] if "array" in kinds else []
    return some.one_of(*right, *right, ANYTHING)


def ask(webui: WebUI, method: str, path: str, content: bytes | None, headers: dict[str, str]) -> requests.Response:
    return requests.request(method, webui.url + path, data=content, headers=headers, timeout=60)


@given(data=some.data())
@SLOW
def test_each_answer_is_documented(webui: WebUI, document: dict[str, Any], data: DataObject) -> None:
    method, path, operation = data.draw(some.sampled_from(operations(document)))
    fields = fields_of(operation)
    required = (
        [] if method == "get" else operation["requestBody"]["content"]["application/json"]["schema"].get("required", [])
    )
    names = {*required, *data.draw(some.sets(some.sampled_from(sorted(fields)), max_size=3))} if fields else set()
    body = {name: data.draw(value_for(name, fields[name]), name) for name in sorted(names)}
    wrong = data.draw(some.none() | some.sampled_from([b"", b"{", b"[]", b"null", b'{"x": 1}']), "wrong")
    key = data.draw(some.sampled_from(KNOWN["key"]) | some.text(some.characters(codec="utf-8"), max_size=10), "key")
    address = path.replace("{key}", quote(key, safe="") or "x")
    content = None if method == "get" else json.dumps(body).encode() if wrong is None else wrong
    answer = ask(webui, method, address, content, {"Content-Type": "application/json"})
    if "{key}" in path and answer.status_code in (307, 404):
        return  # a slash in it is another path
    assert str(answer.status_code) in operation["responses"], (path, body, answer.text)
    assert answer.status_code != 500
    found = answer.json()
    if answer.status_code != 200:
        assert found.keys() == {"error", "code"}
        assert found["error"]
        assert found["code"]


@given(data=some.data())
@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_no_stranger_changes_anything(shared: Target, document: dict[str, Any], data: DataObject) -> None:
    """A WebUI that others reach refuses each request that only its owner may make."""
    before = shared.state_of_disk()
    path = data.draw(some.sampled_from(["verify", "downloads/cancel"]))
    operation = document["paths"][f"{PATH}/{path}"]["post"]
    body = {name: data.draw(value_for(name, schema), name) for name, schema in fields_of(operation).items()}
    headers = {"Content-Type": "application/json", "Host": "sd.tunnel.example", "X-Forwarded-For": "203.0.113.7"}
    answer = ask(shared.webui, "post", f"{PATH}/{path}", json.dumps(body).encode(), headers)
    assert answer.status_code in (400, 409), answer.text
    assert shared.state_of_disk() == before
