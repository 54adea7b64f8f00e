"""Imitates modules/infotext_utils.py: an infotext read back into fields, and what is no field into overrides."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import gradio as gr

from modules import errors, script_callbacks, shared
from modules.paths import data_path

re_param = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_SIZE = re.compile(r"(\d+)x(\d+)")


class PasteField(tuple[Any, Any]):
    """A component and the infotext's label for it, or a function of the fields."""

    def __new__(cls, component: Any, target: Any, *, api: str | None = None) -> PasteField:
        return super().__new__(cls, (component, target))

    def __init__(self, component: Any, target: Any, *, api: str | None = None) -> None:
        super().__init__()
        self.api = api
        self.component = component
        self.label = target if isinstance(target, str) else None
        self.function = target if callable(target) else None


paste_fields: dict[str, dict[str, Any]] = {}


def reset() -> None:
    paste_fields.clear()


def quote(text: Any) -> Any:
    """In quotation marks if it holds what separates fields."""
    return json.dumps(text, ensure_ascii=False) if set(str(text)) & set(",\n:") else text


def unquote(text: str) -> str:
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    try:
        return str(json.loads(text))
    except json.JSONDecodeError:
        return text


def add_paste_fields(
    tabname: str, init_img: Any, fields: list[Any] | None, override_settings_component: Any = None
) -> None:
    known = [one if isinstance(one, PasteField) else PasteField(*one) for one in fields or []]
    paste_fields[tabname] = {
        "init_img": init_img,
        "fields": known,
        "override_settings_component": override_settings_component,
    }


def parse_generation_parameters(x: str, skip_fields: Iterable[str] | None = None) -> dict[str, Any]:
    """The fields of an infotext, with the prompts as "Prompt" and "Negative prompt"."""
    *lines, last = x.strip().split("\n")
    found = re_param.findall(last)
    if len(found) < 3:
        lines, found = [*lines, last], []
    text = "\n".join(line.strip() for line in lines)
    prompt, _, negative = text.partition("Negative prompt:")
    fields: dict[str, Any] = {}
    for key, raw in found:
        value = unquote(raw)
        if size := _SIZE.fullmatch(value):
            fields[f"{key}-1"], fields[f"{key}-2"] = size.groups()
        else:
            fields[key] = value
    fields["Prompt"], fields["Negative prompt"] = prompt.strip(), negative.strip()
    for key, value in (("VAE Encoder", "Full"), ("VAE Decoder", "Full")):
        fields.setdefault(key, value)
    for key in shared.opts.infotext_skip_pasting if skip_fields is None else skip_fields:
        fields.pop(key, None)
    return fields


def _named_settings() -> list[tuple[str, str]]:
    return [(info.infotext, key) for key, info in shared.opts.data_labels.items() if info.infotext]


def create_override_settings_dict(text_pairs: list[str] | None) -> dict[str, Any]:
    """`["VAE: x.safetensors"]` to `{"sd_vae": "x.safetensors"}`. gradio 4 has None for an empty list."""
    given = {key: value.strip() for key, _, value in (pair.partition(":") for pair in text_pairs or [])}
    return {
        setting: shared.opts.cast_value(setting, given[label]) for label, setting in _named_settings() if label in given
    }


def get_override_settings(params: dict[str, Any], *, skip_fields: Any = None) -> list[tuple[str, str, Any]]:
    """What the fields say of settings, where it differs from the settings of now."""
    overrides = []
    for label, setting in _named_settings():
        if label in (skip_fields or {}) or params.get(label) is None:
            continue
        if setting == "sd_model_checkpoint" and shared.opts.disable_weights_auto_swap:
            continue
        value = shared.opts.cast_value(setting, params[label])
        if value != getattr(shared.opts, setting, None):
            overrides.append((label, setting, value))
    return overrides


def connect_paste(
    button: Any, paste_fields: list[Any], input_comp: Any, override_settings_component: Any, tabname: str
) -> None:
    """The button reads the prompt box, or the last generation's parameters when it is empty."""
    fields = list(paste_fields)
    if override_settings_component is not None:
        handled = {key for _, key in fields if isinstance(key, str)}

        def settings(params: dict[str, Any]) -> Any:
            pairs = [f"{label}: {value}" for label, _, value in get_override_settings(params, skip_fields=handled)]
            return gr.update(value=pairs, choices=pairs, visible=bool(pairs))

        fields.append(PasteField(override_settings_component, settings))

    def paste_func(prompt: str) -> list[Any]:
        history, flags = Path(data_path, "params.txt"), shared.cmd_opts
        hidden = flags.hide_ui_dir_config or flags.no_prompt_history
        if not prompt and not hidden and history.is_file():
            prompt = history.read_text(encoding="utf-8")
        params = parse_generation_parameters(prompt)
        script_callbacks.infotext_pasted_callback(prompt, params)
        return [_pasted(component, key, params) for component, key in fields]

    button.click(
        fn=paste_func, inputs=[input_comp], outputs=[component for component, _ in fields], show_progress="hidden"
    )


def _pasted(component: Any, key: str | Callable[[dict[str, Any]], Any], params: dict[str, Any]) -> Any:
    """The update for one component: a value, what its function made, or nothing."""
    try:
        value = key(params) if callable(key) else params.get(key)
        if value is None:
            return gr.update()
        if isinstance(value, dict):
            return value
        kind = type(component.value)
        if kind is bool and value == "False":
            return gr.update(value=False)
        return gr.update(value=float(value) if kind is int else kind(value))
    except Exception:
        errors.report(f"Error executing {key}", exc_info=True)
        return gr.update()
