"""Actions that a browser asks for: every one has a handler, and what is sent must have exactly its types."""

from __future__ import annotations

import json

import pytest

from vae_manager.errors import UsageError
from vae_manager.webui.ui import page_handlers  # noqa: F401 - registers the handlers
from vae_manager.webui.ui.actions import (
    DISPATCHER,
    Action,
    AdoptFile,
    CompareOwn,
    CompareShown,
    DismissRefusal,
    EmptyTrash,
    RenameFile,
    handles,
    parse_action,
)


def test_every_action_has_a_handler() -> None:
    # The image beside CompareOwn comes with an event of its own (comparison_page.compare_picture).
    assert set(Action.by_name.values()) - {CompareOwn} == set(DISPATCHER._handlers)


def test_second_handler_is_refused() -> None:
    with pytest.raises(ValueError, match="EmptyTrash"):
        handles(EmptyTrash)(lambda host, service, action: None)


@pytest.mark.parametrize(
    "action",
    [
        RenameFile("key", "a.safetensors"),
        EmptyTrash(sure=True),
        DismissRefusal(3),
        AdoptFile("/a", "link", "0"),
        CompareShown("txt2img", "Steps: 2", [64, 64], ["a"]),
    ],
    ids=lambda action: action.wire_name,
)
def test_action_survives_the_wire(action: Action) -> None:
    assert parse_action(json.dumps(action.as_dict())) == action


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"do": 7}',
        '{"do": "unknown"}',
        '{"do": "rename-file", "file": "key"}',
        '{"do": "rename-file", "file": "key", "name": 7}',
        '{"do": "empty-trash", "sure": 1}',
        '{"do": "dismiss-refusal", "serial": true}',
        '{"do": "adopt-file", "path": "/a", "how": "burn", "folder": "0"}',
        '{"do": "adopt-file", "path": "/a", "how": ["copy"], "folder": "0"}',
        '{"do": "compare", "kept": "1", "vaes": ["a", 1]}',
        '{"do": "compare", "kept": "1", "vaes": "a"}',
    ],
)
def test_other_types_are_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_action(text)


def test_form_holds_fields_of_its_action_alone() -> None:
    assert RenameFile.form(file="key") == {"do": "rename-file", "file": "key"}
    with pytest.raises(ValueError, match="path"):
        RenameFile.form(path="/a")
