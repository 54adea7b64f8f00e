"""The section "VAE Manager" of the WebUI's settings."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr
from modules.options import OptionHTML, OptionInfo, options_section

from ..choice import BUILTIN
from ..messages import msg
from ..records.verdict import family_label
from .faults import FAULTS
from .hosts import host_values
from .hosts.common import options
from .hosts.common.adapter import FamilyWebUI
from .hosts.host_values import Permission
from .translation import Translator

CATEGORY = "sd"
"""Position of the section among the settings; WebUI 1.6 has no categories and ignores it."""


def register(host: FamilyWebUI, translate: Translator, region: str, follow: Callable[[], None]) -> None:
    """Add the section's options; the WebUI builds its components from them.

    Args:
        host: The WebUI.
        translate: Translates the labels.
        region: The HTML that the page fills.
        follow: Called when a default has changed, to apply it to the loaded model.
    """
    defaults = {
        option: _family_default(host, translate, family, option, follow)
        for family, option in options.FAMILY_DEFAULTS.items()
        if family in host.capability.families
    }
    section: dict[str, OptionInfo] = {
        "vae_manager_offers": OptionHTML(region),
        **defaults,
        options.ENDPOINT: _endpoint(host, translate),
        options.TOKEN_HOSTS: _token_hosts(host, translate),
        options.HTTP_HOSTS: _http_hosts(host, translate),
        options.DOWNLOAD_FOLDER: _download_folder(host, translate),
        options.OTHER_FOLDERS: _other_folders(host, translate),
        options.CONNECTIONS: _connections(translate),
        options.BANDWIDTH: _bandwidth(translate),
        options.CONVERT: _convert(translate),
        options.MEMORY: _memory(host, translate),
        options.ON_DEVICE: _on_device(translate),
        options.KEPT: _kept(host, translate),
        options.KEPT_MEMORY: _kept_memory(host, translate),
        options.RESCUE: _rescue(translate),
        options.ALLOWED_HOSTS: _allowed_hosts(host, translate),
        options.GUARDS: _guards(host, translate),
    }
    add_option = host_values.needed("modules.shared", "opts").add_option
    for name, info in options_section(options.SECTION, section).items():
        info.category_id = CATEGORY
        _wrap_callbacks(info)
        add_option(name, info)


def _wrap_callbacks(info: OptionInfo) -> None:
    """Wrap the callbacks that the WebUI calls while it builds its settings page, and when a setting changes."""
    function = msg("The section of the settings")
    if callable(info.component_args):
        info.component_args = FAULTS.wrap(info.component_args, function, dict)
    for name in ("onchange", "refresh"):
        if getattr(info, name, None) is not None:
            setattr(info, name, FAULTS.wrap(getattr(info, name), function))


def _family_default(
    host: FamilyWebUI, translate: Translator, family: str, option: str, follow: Callable[[], None]
) -> OptionInfo:
    label = translate(msg("Default VAE for {family}", family=family_label(family)))
    hint = translate(
        msg(
            "what Automatic takes when neither the checkpoint's card nor a file of its name says otherwise; None: the "
            "checkpoint's own"
        )
    )

    def shown() -> dict[str, Any]:
        chosen = str(options.read(option, BUILTIN.word))  # stays in the list while its file is missing
        return {"choices": list(dict.fromkeys([BUILTIN.word, *host.files(), chosen]))}

    return OptionInfo(BUILTIN.word, label, gr.Dropdown, shown, onchange=follow, refresh=host.refresh).info(hint)


def _endpoint(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Hub endpoint or mirror"))
    hint = translate(
        msg(
            "empty: the Hugging Face hub, or HF_ENDPOINT where it is set; files are checked against the published "
            "SHA-256 either way"
        )
    )
    return _sources_text(host, label, hint)


def _token_hosts(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Hosts that get the Hugging Face token"))
    hint = translate(
        msg(
            "with commas between them, such as hub.example.com: mirrors or hubs of your own that the token of this "
            "computer is for too; empty: huggingface.co alone"
        )
    )
    return _sources_text(host, label, hint)


def _http_hosts(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Hosts that may be asked over plain http"))
    hint = translate(
        msg(
            "with commas between them, such as nas.lan:8080: machines of your own network; a file from there counts as "
            "proven only by a hash that is known from elsewhere"
        )
    )
    return _sources_text(host, label, hint)


def _download_folder(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Download folder"))
    hint = translate(msg("Automatic: --vae-dir where the WebUI was started with it, else models/VAE"))

    def shown() -> dict[str, Any]:
        folders = [str(folder.path) for folder in host.folders() if folder.purpose == "vae"]
        if host.shared_with_others:  # gradio sends the choices to each browser, even for a hidden component
            folders = [chosen for chosen in (str(options.read(options.DOWNLOAD_FOLDER, "")),) if chosen in folders]
        closed = host_values.flag("hide_ui_dir_config", False) or host.refusal(Permission.CHANGE_SOURCES) is not None
        return {"choices": [options.AUTOMATIC_FOLDER, *folders], "visible": not closed}

    return OptionInfo(options.AUTOMATIC_FOLDER, label, gr.Dropdown, shown).info(hint)


def _other_folders(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Other folders with VAE files"))
    hint = translate(
        msg(
            "one a line: ComfyUI's models/vae, another WebUI's models/VAE; a VAE that is there is not downloaded, but "
            "copied from it"
        )
    )
    closed = host.refusal(Permission.CHANGE_SOURCES) is not None or host.shared_with_others
    return OptionInfo("", label, gr.Textbox, {"lines": 2, "visible": not closed}).info(hint)


def _connections(translate: Translator) -> OptionInfo:
    label = translate(msg("Connections per download"))
    hint = translate(
        msg("one download runs at a time and uses no more than these; fewer where more bring nothing, or a proxy balks")
    )
    shown = {"minimum": 1, "maximum": options.MAX_CONNECTIONS, "step": 1}
    return OptionInfo(options.DEFAULT_CONNECTIONS, label, gr.Slider, shown).info(hint)


def _bandwidth(translate: Translator) -> OptionInfo:
    label = translate(msg("Bandwidth limit for downloads, in MB/s"))
    hint = translate(msg("0: as fast as the line allows; a change counts from the next download or resume on"))
    return OptionInfo(0, label, gr.Number, {"minimum": 0}).info(hint)


def _convert(translate: Translator) -> OptionInfo:
    label = translate(msg("Convert what this WebUI cannot load"))
    hint = translate(
        msg("after a download in another layout; the file is kept as it was published, beside the converted one")
    )
    return OptionInfo(True, label).info(hint)


def _memory(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("RAM for VAEs that are not in use, in GB"))
    hint = translate(msg("going back to one of them then reads no file; a VAE takes 0.17 or 0.34 GB; 0: none are kept"))
    shown = {"minimum": 0}
    return OptionInfo(options.default_memory(), label, gr.Number, shown, onchange=lambda: host.vae.shrink_kept()).info(
        hint
    )


def _on_device(translate: Translator) -> OptionInfo:
    label = translate(msg("Keep the VAE that was used last on the GPU too"))
    hint = translate(
        msg("changing back and forth between two is then instant; takes as much of the GPU's memory again")
    )
    return OptionInfo(False, label).info(hint)


def _kept(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Pictures that can be compared afterwards"))
    hint = translate(
        msg(
            "so many of the last ones are remembered as they were before the VAE decoded them, in RAM; other VAEs can "
            "then decode them too, without sampling; 0: none"
        )
    )
    shown = {"minimum": 0, "maximum": options.MAX_KEPT, "step": 1}
    return OptionInfo(options.DEFAULT_KEPT, label, gr.Slider, shown, onchange=_shrink(host)).info(hint)


def _kept_memory(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("RAM for pictures that can be compared, in MB"))
    hint = translate(msg("one of 512 × 512 takes some 0.07 MB, one of 2048 × 2048 some 1; 0: none are kept"))
    shown = {"minimum": 0}
    return OptionInfo(options.DEFAULT_KEPT_MEMORY, label, gr.Number, shown, onchange=_shrink(host)).info(hint)


def _shrink(host: FamilyWebUI) -> Callable[[], None]:
    """Return a callback that shrinks the store of pictures.

    It imports comparison code only on a change, not at the WebUI's start.
    """
    return lambda: host.comparing.kept.shrink()


def _rescue(translate: Translator) -> OptionInfo:
    label = translate(msg("Decode a failed picture again"))
    hint = translate(
        msg(
            "a picture that comes out black, with NaN or for want of memory is decoded again at once: in 32 bits, by "
            "another VAE or in tiles; needs the guards below"
        )
    )
    return OptionInfo(True, label).info(hint)


def _allowed_hosts(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Names of reverse proxies in front of this WebUI"))
    hint = translate(
        msg(
            "with commas between them; a WebUI that listens on this machine alone answers under no other name than "
            "this machine's and these; counts from the next start"
        )
    )
    return _sources_text(host, label, hint)


def _sources_text(host: FamilyWebUI, label: str, hint: str) -> OptionInfo:
    """Return a text field that is visible if this WebUI allows its sources to be changed."""
    shown = {"max_lines": 1, "visible": host.refusal(Permission.CHANGE_SOURCES) is None}
    return OptionInfo("", label, gr.Textbox, shown).info(hint)


def _guards(host: FamilyWebUI, translate: Translator) -> OptionInfo:
    label = translate(msg("Guard the WebUI's own ways of loading a VAE"))
    hint = translate(
        msg(
            "a file that does not fit is refused before it damages the model, and infotext names the VAE that made the "
            "picture; switch this off only to find out whether it is the cause of something"
        )
    )

    def follow() -> None:
        if options.guarded():
            host.guard()
        else:
            host.unguard()

    return OptionInfo(True, label, onchange=follow).info(hint)
