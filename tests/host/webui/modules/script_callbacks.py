"""Imitates modules/script_callbacks.py: extensions register functions, which the WebUI calls; errors stop none."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from fastapi import FastAPI

from modules import errors, extensions, timer


class ImageSaveParams:
    """What is about to be saved, or was."""

    def __init__(self, image: Any, p: Any, filename: str, pnginfo: dict[str, Any]) -> None:
        self.image = image
        self.p = p
        self.filename = filename
        self.pnginfo = pnginfo


@dataclasses.dataclass
class ScriptCallback:
    script: str
    callback: Any
    name: str = "unnamed"


callback_map: dict[str, list[ScriptCallback]] = {
    f"callbacks_{category}": []
    for category in (
        "app_started",
        "model_loaded",
        "ui_tabs",
        "ui_settings",
        "before_image_saved",
        "image_saved",
        "before_component",
        "after_component",
        "infotext_pasted",
        "script_unloaded",
        "before_ui",
        "on_reload",
    )
}


def add_callback(
    callbacks: list[ScriptCallback],
    fun: Callable[..., Any],
    *,
    name: str | None = None,
    category: str = "unknown",
    filename: str | None = None,
) -> None:
    """Named after the extension and the file that registers it."""
    if filename is None:
        callers = (frame.filename for frame in inspect.stack() if frame.filename != __file__)
        filename = next(callers, "unknown file")
    extension = extensions.find_extension(filename)
    owner = extension.canonical_name if extension else "base"
    full = "/".join(part for part in (owner, Path(filename).name, category, name) if part)
    taken = {known.name for known in callbacks}
    numbered = (f"{full}-{number}" for number in range(1, 1000))
    unique = full if full not in taken else next(other for other in numbered if other not in taken)
    callbacks.append(ScriptCallback(filename, fun, unique))


def clear_callbacks() -> None:
    """Before the scripts are executed, at the start and at each Reload UI."""
    for callbacks in callback_map.values():
        callbacks.clear()


def ordered_callbacks(
    category: str, unordered_callbacks: list[ScriptCallback] | None = None, *, enable_user_sort: bool = True
) -> list[ScriptCallback]:
    """In the order of registration; the stand-in knows no priorities."""
    return list(callback_map[f"callbacks_{category}"] if unordered_callbacks is None else unordered_callbacks)


def _call(category: str, *args: Any, backwards: bool = False, **kwargs: Any) -> Iterator[tuple[ScriptCallback, Any]]:
    callbacks = ordered_callbacks(category)
    for known in reversed(callbacks) if backwards else callbacks:
        try:
            yield known, known.callback(*args, **kwargs)
        except Exception:
            errors.report(f"Error executing callback {category} for {known.script}", exc_info=True)


def _run(category: str, *args: Any, backwards: bool = False, **kwargs: Any) -> None:
    for _ in _call(category, *args, backwards=backwards, **kwargs):
        pass


def app_started_callback(demo: Any, app: FastAPI) -> None:
    for known, _ in _call("app_started", demo, app):
        timer.startup_timer.record(Path(known.script).name)


def app_reload_callback() -> None:
    _run("on_reload")


def model_loaded_callback(sd_model: Any) -> None:
    _run("model_loaded", sd_model)


def ui_tabs_callback() -> list[tuple[Any, str, str]]:
    return [tab for _, tabs in _call("ui_tabs") for tab in tabs or []]


def ui_settings_callback() -> None:
    _run("ui_settings")


def before_image_saved_callback(params: ImageSaveParams) -> None:
    _run("before_image_saved", params)


def image_saved_callback(params: ImageSaveParams) -> None:
    _run("image_saved", params)


def before_component_callback(component: Any, **kwargs: Any) -> None:
    _run("before_component", component, **kwargs)


def after_component_callback(component: Any, **kwargs: Any) -> None:
    _run("after_component", component, **kwargs)


def infotext_pasted_callback(infotext: str, params: dict[str, Any]) -> None:
    _run("infotext_pasted", infotext, params)


def script_unloaded_callback() -> None:
    _run("script_unloaded", backwards=True)


def before_ui_callback() -> None:
    _run("before_ui", backwards=True)


def remove_callbacks_for_function(callback_func: Callable[..., Any]) -> None:
    for callbacks in callback_map.values():
        callbacks[:] = [known for known in callbacks if known.callback != callback_func]


def on_app_started(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called with the Blocks (None under --nowebui) and the FastAPI app, again after each Reload UI."""
    add_callback(callback_map["callbacks_app_started"], callback, name=name, category="app_started")


def on_before_reload(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_on_reload"], callback, name=name, category="on_reload")


def on_model_loaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called with the model after a checkpoint or a VAE was loaded."""
    add_callback(callback_map["callbacks_model_loaded"], callback, name=name, category="model_loaded")


def on_ui_tabs(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called while the page is built; gives (Blocks, title, element id) for each new tab."""
    add_callback(callback_map["callbacks_ui_tabs"], callback, name=name, category="ui_tabs")


def on_ui_settings(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called before the Settings tab is built: the place for `opts.add_option`."""
    add_callback(callback_map["callbacks_ui_settings"], callback, name=name, category="ui_settings")


def on_before_image_saved(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_before_image_saved"], callback, name=name, category="before_image_saved")


def on_image_saved(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_image_saved"], callback, name=name, category="image_saved")


def on_before_component(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called with each component about to be made, and its keywords."""
    add_callback(callback_map["callbacks_before_component"], callback, name=name, category="before_component")


def on_after_component(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_after_component"], callback, name=name, category="after_component")


def on_infotext_pasted(callback: Callable[..., Any], *, name: str | None = None) -> None:
    """Called with the infotext and the fields read from it, which may be changed."""
    add_callback(callback_map["callbacks_infotext_pasted"], callback, name=name, category="infotext_pasted")


def on_script_unloaded(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_script_unloaded"], callback, name=name, category="script_unloaded")


def on_before_ui(callback: Callable[..., Any], *, name: str | None = None) -> None:
    add_callback(callback_map["callbacks_before_ui"], callback, name=name, category="before_ui")
