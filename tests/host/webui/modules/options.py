"""Imitates modules/options.py: registered options, their values, what freezes them, and config.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from modules import errors
from modules.shared_cmd_options import cmd_opts


class OptionInfo:
    """One option: its default, how the Settings tab shows it, what happens when it changes."""

    def __init__(
        self,
        default: Any = None,
        label: str = "",
        component: Any = None,
        component_args: Any = None,
        onchange: Callable[[], Any] | None = None,
        section: Any = None,
        refresh: Callable[[], Any] | None = None,
        comment_before: str = "",
        comment_after: str = "",
        infotext: str | None = None,
        restrict_api: bool = False,
        category_id: str | None = None,
    ) -> None:
        self.default = default
        self.label = label
        self.component = component
        self.component_args = component_args
        self.onchange = onchange
        self.section = section
        self.category_id = category_id
        self.refresh = refresh
        self.do_not_save = False
        self.comment_before = comment_before
        self.comment_after = comment_after
        self.infotext = infotext
        self.restrict_api = restrict_api

    def link(self, label: str, url: str) -> OptionInfo:
        self.comment_before += f"[<a href='{url}' target='_blank'>{label}</a>]"
        return self

    def js(self, label: str, js_func: str) -> OptionInfo:
        self.comment_before += f"[<a onclick='{js_func}(); return false'>{label}</a>]"
        return self

    def info(self, info: str) -> OptionInfo:
        return self.html(f"<span class='info'>({info})</span>")

    def html(self, html: str) -> OptionInfo:
        self.comment_after += html
        return self

    def needs_restart(self) -> OptionInfo:
        return self.html(" <span class='info'>(requires restart)</span>")

    def needs_reload_ui(self) -> OptionInfo:
        return self.html(" <span class='info'>(requires Reload UI)</span>")


class OptionHTML(OptionInfo):
    """A paragraph among the options; it has no value."""

    def __init__(self, text: str) -> None:
        super().__init__(str(text).strip(), label="", component=_settings_html)
        self.do_not_save = True


def _settings_html(**kwargs: Any) -> gr.HTML:
    return gr.HTML(elem_classes="settings-info", **kwargs)


def options_section(section_identifier: tuple[Any, ...], options_dict: dict[str, OptionInfo]) -> dict[str, OptionInfo]:
    """Puts the options into a section (id, title) and, with a third item, a category."""
    for info in options_dict.values():
        info.section = section_identifier[:2]
        if len(section_identifier) == 3:
            info.category_id = section_identifier[2]
    return options_dict


@dataclass
class OptionsCategory:
    id: str
    label: str


class OptionsCategories:
    """The headings above the sections of the Settings tab."""

    def __init__(self) -> None:
        self.mapping: dict[str, OptionsCategory] = {}

    def register_category(self, category_id: str, label: str) -> None:
        self.mapping.setdefault(category_id, OptionsCategory(category_id, label))


categories = OptionsCategories()

_OWN_FIELDS = ("data_labels", "data", "restricted_opts", "typemap")


class Options:
    """Options as attributes; those registered or saved go to `data`, another name is an AttributeError when read."""

    typemap: dict[type, type] = {int: float}  # noqa: RUF012  # the WebUI's is a class attribute too

    def __init__(self, data_labels: dict[str, OptionInfo], restricted_opts: set[str]) -> None:
        self.data_labels = data_labels
        self.data = {key: info.default for key, info in data_labels.items() if not info.do_not_save}
        self.restricted_opts = restricted_opts

    def __setattr__(self, key: str, value: Any) -> None:
        if key in _OWN_FIELDS or (key not in self.data and key not in self.data_labels):
            super().__setattr__(key, value)
            return
        assert not cmd_opts.freeze_settings, "changing settings is disabled"
        info = self.data_labels[key]
        if not info.do_not_save:
            self._refuse_frozen(key, info)
            self.data[key] = value

    def _refuse_frozen(self, key: str, info: OptionInfo) -> None:
        """AssertionError for the freezing flags, RuntimeError for what is hidden; `set` catches only the latter."""
        if isinstance(info.component_args, dict) and info.component_args.get("visible", True) is False:
            raise RuntimeError(f"not possible to set '{key}' because it is restricted")
        sections = _listed(cmd_opts.freeze_settings_in_sections)
        assert not sections or info.section[0] not in sections, (
            f"not possible to set '{key}' because settings in section '{info.section[1]}' ({info.section[0]}) are "
            "frozen with --freeze-settings-in-sections"
        )
        assert key not in _listed(cmd_opts.freeze_specific_settings), (
            f"not possible to set '{key}' because this setting is frozen with --freeze-specific-settings"
        )
        if cmd_opts.hide_ui_dir_config and key in self.restricted_opts:
            raise RuntimeError(f"not possible to set '{key}' because it is restricted with --hide_ui_dir_config")

    def __getattr__(self, item: str) -> Any:
        if item not in _OWN_FIELDS:
            if item in self.data:
                return self.data[item]
            if item in self.data_labels:
                return self.data_labels[item].default
        raise AttributeError(f"'Options' object has no attribute '{item}'")

    def set(self, key: str, value: Any, is_api: bool = False, run_callbacks: bool = True) -> bool:
        """True if the option changed; False if it did not, may not, or its onchange raised and it was put back."""
        before = self.data.get(key)
        if before == value:
            return False
        option = self.data_labels[key]
        if option.do_not_save or (is_api and option.restrict_api):
            return False
        try:
            setattr(self, key, value)
        except RuntimeError:
            return False
        if run_callbacks and option.onchange is not None:
            try:
                option.onchange()
            except Exception as error:
                errors.display(error, f"changing setting {key} to {value}")
                setattr(self, key, before)
                return False
        return True

    def get_default(self, key: str) -> Any:
        info = self.data_labels.get(key)
        return None if info is None else info.default

    def save(self, filename: str) -> None:
        assert not cmd_opts.freeze_settings, "saving settings is disabled"
        text = json.dumps(self.data, indent=4, ensure_ascii=False)
        Path(filename).write_text(text, encoding="utf-8")

    def same_type(self, x: Any, y: Any) -> bool:
        if x is None or y is None:
            return True
        kinds = [self.typemap.get(type(value), type(value)) for value in (x, y)]
        return kinds[0] == kinds[1]

    def load(self, filename: str) -> None:
        """Replaces all values by the file's; what the file lacks is *not* in `data` until it is set or added."""
        try:
            self.data = json.loads(Path(filename).read_text(encoding="utf-8"))
        except FileNotFoundError:
            self.data = {}
        for key, value in self.data.items():
            info = self.data_labels.get(key)
            if info is not None and not self.same_type(info.default, value):
                print(f"Warning: bad setting value: {key}: {value}", file=sys.stderr)

    def onchange(self, key: str, func: Callable[[], Any], call: bool = True) -> None:
        self.data_labels[key].onchange = func
        if call:
            func()

    def dumpjson(self) -> str:
        """The values and comments that the page's `opts` is read from."""
        values = {key: self.data.get(key, info.default) for key, info in self.data_labels.items()}
        values["_comments_before"] = {key: info.comment_before for key, info in self.data_labels.items()}
        values["_comments_after"] = {key: info.comment_after for key, info in self.data_labels.items()}
        return json.dumps(values)

    def add_option(self, key: str, info: OptionInfo) -> None:
        """Registers an extension's option; its default is stored at once, so that the next save writes it."""
        self.data_labels[key] = info
        if not info.do_not_save:
            self.data.setdefault(key, info.default)

    def reorder(self) -> None:
        """Brings each section's options together, sections by category and then by title."""
        first_category: dict[Any, str | None] = {}
        for info in self.data_labels.values():
            info.category_id = first_category.setdefault(info.section, info.category_id)
        order = {category: place for place, category in enumerate(categories.mapping)}

        def place(item: tuple[str, OptionInfo]) -> tuple[int, str]:
            return order.get(item[1].category_id or "", len(order)), item[1].section[1]

        self.data_labels = dict(sorted(self.data_labels.items(), key=place))

    def cast_value(self, key: str, value: Any) -> Any:
        """The value in the type of the option's default: `"12"` from an infotext to 12."""
        example = self.data_labels[key].default
        if example is None:
            example = getattr(self, key, None)
        if value is None or example is None:
            return None
        return False if isinstance(example, bool) and value == "False" else type(example)(value)


def _listed(names: str | None) -> list[str]:
    return [name.strip() for name in names.split(",")] if names else []
