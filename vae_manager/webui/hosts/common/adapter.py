"""Adapter of a WebUI of the family: the parts that all of them share."""

from __future__ import annotations

import functools
import logging
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from ....catalogue.local_path import local_path
from ....choice import Choice, Resolution, ResolutionContext, resolve
from ....errors import Cancelled, RefusedError, VaeManagerError
from ....files import Identity, Problem
from ....files.state_file import UNREADABLE, DamagedError, bytes_of, pairs_of, parse_json
from ....library import Folder
from ....messages import Message, msg
from ....records.verdict import A1111, HostCapability, VaeSignature
from ....service import the_service
from ...admission import FLAG, Listening, Name, is_loopback, names_in, no_names_in
from .. import host_values
from ..host_values import OWNERS, InUse, Permission, Swap
from . import checkpoint_metadata, options
from .options import Override

if TYPE_CHECKING:
    from ....compare import Model
    from ....service import Service
    from ....swap import LatentTest
    from ..host import Comparing, Result
    from .latents import Latents
    from .pass_vaes import PassVaes
    from .rescuing import Rescuing
    from .vae_state import LoadedVae


logger = logging.getLogger(__name__)

SHARING = ("share", "ngrok")
"""Flags that open the WebUI to the internet, on any interface."""


def is_shared(flags: Any) -> bool:
    """Return True if other machines can reach the page, or the WebUI assumes it, as it does for any --server-name."""
    return bool(getattr(flags, "webui_is_non_local", False)) or not is_on_loopback(flags)


def is_closed_to_strangers(flags: Any) -> bool:
    """Return True if extensions may change only the picture.

    A WebUI without the flag for it is judged by the flags that others derive it from.
    """
    closed = getattr(flags, "disable_extension_access", None)
    if closed is not None:
        return bool(closed)
    return is_shared(flags) and not getattr(flags, "enable_insecure_extension_access", False)


def is_on_loopback(flags: Any) -> bool:
    """Return True if only this machine can connect."""
    if any(getattr(flags, flag, None) for flag in SHARING) or _is_on(os.environ.get("GRADIO_SHARE")):
        return False
    name = getattr(flags, "server_name", None)
    if not name and getattr(flags, "listen", False):
        return False
    return is_loopback(name or os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1")


def added_names(flags: Any, setting: object) -> frozenset[Name]:
    """Return the names of the flag and of the setting. Invalid names are reported in the console."""
    flag = getattr(flags, "vae_manager_allowed_hosts", None) or ""
    typed = f"{flag},{setting or ''}"
    wrong = no_names_in(typed)
    if wrong:
        message = msg(
            "{flag}, or the setting for it, holds what is no name of a server, and it is left out: {words}.",
            flag=FLAG,
            words=" ".join(wrong),
        )
        logger.warning("%s", message)
    return names_in(typed)


def _is_on(text: str | None) -> bool:
    return (text or "").strip().lower() in ("1", "true")


@functools.lru_cache(maxsize=4)
def _read_tables(paths: tuple[str, ...]) -> Mapping[str, str]:
    """Read the WebUI's tables, once: the WebUI itself reads them only when the page is built."""
    table: dict[str, str] = {}
    for path in paths:
        try:
            written, _ = bytes_of(Path(path))
            pairs = pairs_of(parse_json(written or b""))
            table.update({key: value for key, value in pairs if isinstance(value, str)})
        except (DamagedError, *UNREADABLE):
            logger.warning("The localization file %s cannot be read.", path)
    return table


class Decoding(Protocol):
    """Decoding by a host. Methods are called under the queue lock."""

    def repair(self) -> None:
        """Undo the traces of a failed load of the WebUI's own, so that the model can decode."""
        ...

    def ready(self, model: Any, tiling: bool) -> AbstractContextManager[Model]:
        """Let `model` encode and decode as the WebUI does, with the padding of a picture with `tiling`.

        The previous state is restored at the end of the `with` statement.
        """
        ...


class FamilyWebUI(ABC):
    """A host that reads and drives a WebUI through the WebUI's own modules."""

    name: str
    capability: HostCapability = A1111
    picker_writes_each_change = False
    """The WebUI takes a value that the program sets in its own component for the choice for a person's choice."""

    def __init__(self) -> None:
        self.override = Override(self.generating)
        self.follow: Callable[[], None] = lambda: None
        """Applies the present choice to the model, in the background; set by the owner of the jobs."""
        self.vae_in_quick_settings: bool | None = None
        """Last state of the page's own switch since the UI was built; None: it was not used."""

    @property
    @abstractmethod
    def vae(self) -> LoadedVae:
        """The VAE in the model."""

    @abstractmethod
    def model(self) -> Any:
        """Return the loaded model; None without one. Never loads one."""

    def signature(self) -> VaeSignature:
        """Return the VAE that the loaded checkpoint has."""
        model = self.model()
        if model is None:
            return VaeSignature(None)
        return VaeSignature(self.vae.table(model), checkpoint_metadata.family(model))

    def note_damage(self, identity: Identity, problem: Problem) -> None:
        """Record that the weights of a file cannot be used."""
        the_service(self.data_folder).stores.index.note_failure(identity, problem)

    @abstractmethod
    def files(self) -> Mapping[str, str]:
        """Return the host's own list of VAE files: base name -> path."""

    @abstractmethod
    def lists(self) -> Sequence[dict[str, str]]:
        """Return the host's own list objects of VAE files."""

    @abstractmethod
    def reread(self) -> None:
        """Run the host's own refresh, which makes its lists anew. Called under the queue lock."""

    @abstractmethod
    def add_new_files(self) -> None:
        """Add new files to the lists."""

    @abstractmethod
    def before_generation(self) -> None:
        """Follow changes on the disk. Called under the queue lock."""

    @abstractmethod
    def written_choice(self) -> Choice:
        """Return the value of the setting: during a picture, its override."""

    @abstractmethod
    def write_choice(self, choice: Choice) -> None:
        """Save it as the setting, without running the callbacks of a change. Raises RefusedError, DiskError."""

    @abstractmethod
    def apply(self, model: Any, choice: Choice) -> bool:
        """Put the VAE that `choice` means into the loaded model; return False if it is there already.

        Called under the queue lock. Raises a VaeManagerError; the previous VAE is still in use then.
        """

    # Methods for the WebUI's callbacks

    @abstractmethod
    def prepare(self) -> None:
        """Prepare the options. Called when the extension is loaded, and again at each *Reload UI*."""

    @abstractmethod
    def guard(self) -> None:
        """Apply the patches that are not applied."""

    @abstractmethod
    def unguard(self) -> None:
        """Remove the patches."""

    @abstractmethod
    def override_of(self, p: Any) -> str | None:
        """Return the word of the VAE that overrides the choice for a generation; None without an override."""

    def unlisted_override(self, p: Any) -> str | None:
        """Return the VAE file that a generation requests and that no folder has, after an update of the lists."""
        if any(name not in self.files() for name in self.asked_files(p)):
            self.add_new_files()
        return next((name for name in self.asked_files(p) if name not in self.files()), None)

    def asked_files(self, p: Any) -> Sequence[str]:
        """Return the base names of the VAE files that override the choice for a generation."""
        word = p.override_settings.get("sd_vae")
        name = Choice(word).file_name if isinstance(word, str) else None
        return [name] if name is not None else []

    @abstractmethod
    def set_override(self, p: Any, word: str) -> None:
        """Override the choice for a generation."""

    @abstractmethod
    def name_decoder(self, p: Any) -> None:
        """Let the infotext of the generation name the VAE that has decoded a batch."""

    @abstractmethod
    def infotext_of(self, text: str, path: str | None, short_hash: str | None) -> str:
        """Return the infotext `text` for a picture that the VAE at `path` (None: the checkpoint's own) has decoded."""

    def begin_page(self) -> None:  # noqa: B027 - most WebUIs have nothing to prepare
        """Prepare for a new build of the UI, before its first component."""

    @abstractmethod
    def picker(self, component: Any, elem_id: str) -> Any:
        """Return the WebUI's own component for the choice; None before it exists. Called with each component."""

    @abstractmethod
    def picker_values(self, words: Sequence[str], chosen: Choice) -> Mapping[str, Any]:
        """Return the values for that component; `words` are the WebUI's words for all choices."""

    @abstractmethod
    def name_pasted(self, service: Service, fields: dict[str, Any]) -> None:
        """Let the fields of a pasted infotext name the VAE for the next generation."""

    def announce(self, model: Any) -> None:
        """Notify other extensions, as A1111 does after a swap (sd_vae.py:283)."""
        host_values.needed("modules.script_callbacks", "model_loaded_callback")(model)

    @property
    @abstractmethod
    def comparing(self) -> Comparing:
        """The last pictures, decoded anew by other VAEs."""

    @property
    @abstractmethod
    def decoding(self) -> Decoding:
        """The WebUI's own way to decode, for comparisons and rescues."""

    @functools.cached_property
    def rescuing(self) -> Rescuing:
        """The rescue of pictures whose decode failed."""
        from .rescuing import Rescuing

        return Rescuing(self)

    @functools.cached_property
    def latents(self) -> Latents:
        """The latents of the last pictures."""
        from .latents import Latents

        return Latents(lambda model: self.vae.path(model))

    @functools.cached_property
    def pass_vaes(self) -> PassVaes:
        """The VAEs of single passes of a generation."""
        from .pass_vaes import PassVaes

        return PassVaes(self)

    @property
    def version(self) -> str:
        """The tag of the WebUI's checkout (launch_utils.git_tag); empty on a WebUI without that function."""
        tag = host_values.value("modules.launch_utils", "git_tag")
        return str(tag()) if tag is not None else ""

    @property
    def shared_with_others(self) -> bool:
        """Implement `HostSettings.shared_with_others` by the flags: see `is_shared`."""
        return is_shared(host_values.flags())

    @property
    def shows_paths(self) -> bool:
        """Implement `HostSettings.shows_paths`: False on a shared WebUI; `admission` decides for a known visitor."""
        return not self.shared_with_others

    def listening(self) -> Listening:
        """Implement `HostSettings.listening`: the reach by the present flags, the names as they were at the start."""
        _ = self._other_folders  # read at the start, too
        return Listening(is_on_loopback(host_values.flags()), self._added_names)

    @functools.cached_property
    def _added_names(self) -> frozenset[Name]:
        """The names at the start: otherwise a page that can change the settings could add its own name."""
        return added_names(host_values.flags(), options.read(options.ALLOWED_HOSTS, ""))

    @property
    def data_folder(self) -> Path:
        """The folder `vae-manager` in the WebUI's data folder (`--data-dir`)."""
        return host_values.data_path() / "vae-manager"

    # Folders and files

    def folders(self) -> Sequence[Folder]:
        """Return the folders in the order of sd_vae.refresh_vae_list (sd_vae.py:82)."""
        folders = [Folder(path, "vae") for path in self.vae_folders()]
        own = host_values.value("modules.sd_models", "model_path") or host_values.models_path() / "Stable-diffusion"
        more = [host_values.flag("ckpt_dir"), *(host_values.flag("ckpt_dirs") or [])]  # a list in Forge Neo
        folders += [Folder(Path(path), "checkpoints") for path in (own, *more) if path]
        return folders

    def download_folder(self) -> Path:
        """Return the folder chosen in the settings, else `--vae-dir`, else models/VAE."""
        folders = self.vae_folders()
        chosen = options.read(options.DOWNLOAD_FOLDER, options.AUTOMATIC_FOLDER)
        return {str(folder): folder for folder in folders}.get(chosen, folders[-1])

    def vae_folders(self) -> Sequence[Path]:
        """Return the WebUI's own VAE folder, then `--vae-dir`; the last one is the default for downloads."""
        own = host_values.value("modules.sd_vae", "vae_path") or host_values.models_path() / "VAE"
        more = host_values.flag("vae_dir")
        return [Path(own), *([Path(more)] if more else [])]

    def encoder_folders(self) -> Sequence[Path]:
        """Implement `HostFiles.encoder_folders`: none, since A1111 and reForge read encoders in checkpoints alone."""
        return ()

    def refresh(self, gone: Path | None = None) -> None:
        """Update the lists; remove only `gone` while a picture is being made.

        The host's own refresh begins with an empty list, from which that picture may be resolving its VAE.
        """
        if gone is not None:
            self.vae.forget_file(gone)
        lock = host_values.needed("modules.call_queue", "queue_lock")
        if lock.acquire(blocking=False):
            try:
                self.reread()
            finally:
                lock.release()
            return
        for known in self.lists():
            if gone is not None and known.get(gone.name) == str(gone):
                del known[gone.name]
        self.add_new_files()

    def path_of(self, choice: Choice) -> str | None:
        """Return the path of the chosen file in the WebUI's list; None for Automatic and Built-in.

        Raises RefusedError if the list lacks the file, with the reason if it exists all the same.
        """
        name = choice.file_name
        if name is not None and name not in self.files():
            reason = self.reason_against(name)
            if reason is not None:
                raise RefusedError(msg("{reason} The VAE in use is unchanged.", code="unusable-file", reason=reason))
            raise RefusedError(
                msg("The WebUI does not list {file}. The VAE in use is unchanged.", code="not-listed", file=name)
            )
        return self.files().get(name) if name is not None else None

    def reason_against(self, name: str) -> Message | None:
        """Return why an existing file of this base name is not among `files`; None if no such file exists."""
        return None

    # Options

    def other_folders(self) -> Sequence[Path]:
        """Implement `HostFiles.other_folders` by the project's own option and variable, and the flags of Forge and Neo.

        The WebUI shows an option to everybody whom it lets in, and a variable to nobody.
        """
        from ....transfer import folders_of_environment  # the network's part waits for the first download

        written = self._other_folders if self.shared_with_others else options.read(options.OTHER_FOLDERS, "")
        named = [local_path(line.strip()) for line in str(written).splitlines() if line.strip()]
        references = [
            Path(home, below)
            for flag, folders in options.REFERENCES.items()
            if (home := host_values.flag(flag))
            for below in folders
        ]
        return [*(path for path in named if path.is_absolute()), *folders_of_environment(), *references]

    @functools.cached_property
    def _other_folders(self) -> str:
        """The setting at the start: otherwise people elsewhere could name a folder, and ask what is in it."""
        return str(options.read(options.OTHER_FOLDERS, ""))

    def endpoint(self) -> str | None:
        """Implement `HostFiles.endpoint` by the flag, else by the project's own option; an empty text is None."""
        named = host_values.flag("vae_manager_endpoint") or options.read(options.ENDPOINT, "")
        return str(named).strip() or None

    def token_hosts(self) -> frozenset[str]:
        """Implement `HostFiles.token_hosts` by the project's own option, a list with commas."""
        return options.hosts(options.TOKEN_HOSTS)

    def http_hosts(self) -> frozenset[str]:
        """Implement `HostFiles.http_hosts` by the project's own option, a list with commas."""
        return options.hosts(options.HTTP_HOSTS)

    def connections(self) -> int:
        """Implement `HostFiles.connections` by the project's own option, within 1 and `MAX_CONNECTIONS`."""
        asked = options.number(options.CONNECTIONS, options.DEFAULT_CONNECTIONS)
        return round(min(max(1, asked), options.MAX_CONNECTIONS))

    def bandwidth(self) -> float | None:
        """Implement `HostFiles.bandwidth` by the project's own option, which is in MB (decimal); 0 means no limit."""
        megabytes = options.number(options.BANDWIDTH, 0)
        return megabytes * 1e6 if megabytes > 0 else None

    def converts(self) -> bool:
        """Implement `HostFiles.converts` by the project's own option, which is on by default."""
        return bool(options.read(options.CONVERT, True))

    def language(self) -> str:
        """Return the chosen localization; that of the bilingual extension if it replaces the WebUI's."""
        chosen = str(options.read("localization", "None"))
        return str(options.read("bilingual_localization_file", "None")) if chosen == "None" else chosen

    def translations(self) -> Mapping[str, str]:
        """Return the table that the WebUI sends to the page (localization.py localization_js)."""
        files = host_values.value("modules.localization", "localizations", {}).get(self.language()) or []
        return _read_tables(tuple([files] if isinstance(files, str) else files))  # one path in 1.6, a list since

    def quick_settings(self) -> Sequence[str] | None:
        """Implement `HostSettings.quick_settings` by the option `quicksettings_list`; None if it is no list."""
        names = options.read(options.QUICK_SETTINGS, None)
        return list(names) if isinstance(names, list) else None

    def set_quick_settings(self, names: Sequence[str]) -> None:
        """Save the option and note if the VAE is in it, for *Apply settings* of a page with the old list."""
        if self.quick_settings() is None:
            raise RefusedError(msg("This WebUI has no list of quick settings. Nothing was changed."))
        options.write(options.QUICK_SETTINGS, list(names))
        self.vae_in_quick_settings = "sd_vae" in names

    def reload_page(self) -> None:
        """Implement `HostSettings.reload_page` by a request to the WebUI's main loop; returns before the reload."""
        host_values.needed("modules.shared", "state").request_restart()

    # Permissions

    @abstractmethod
    def choice_frozen(self) -> Message | None:
        """Return the message for the flag that overrides or freezes the setting; None without such a flag."""

    def refusal(self, permission: Permission, *, remote: bool = False) -> Message | None:
        """Implement `HostSettings.refusal` by the WebUI's flags; only permissions of `OWNERS` depend on `remote`."""
        if permission in OWNERS:
            return self._owners_alone() if remote else None
        if permission in (Permission.CHOOSE, Permission.CHOOSE_FOR_TAB):
            return self.choice_frozen()
        if permission is Permission.PREFER:
            return self.choice_frozen() or self._closed_to_strangers()
        if permission is Permission.CHANGE_QUICK_SETTINGS:
            return options.frozen(options.QUICK_SETTINGS) or self._closed_to_strangers()
        if permission in (Permission.RELOAD_PAGE, Permission.CHANGE_FILES):
            return self._closed_to_strangers()
        if permission is Permission.ADOPT_FILES:
            if self.shared_with_others:  # even if extensions may be changed: a path could be any person's file
                return msg("This WebUI can be reached from other machines, so the page takes in no file by its path.")
            return self._closed_to_strangers()
        if permission is Permission.CHANGE_SOURCES and is_closed_to_strangers(host_values.flags()):
            return msg(
                "This WebUI can be reached from other machines, so the page fetches only what it offers. On its own "
                "machine, `python -m vae_manager get` fetches any VAE.",
                code="use-the-command-line",
            )
        return None

    def _owners_alone(self) -> Message | None:
        """Return the refusal of others; None if --enable-insecure-extension-access opens the WebUI to them."""
        if is_closed_to_strangers(host_values.flags()):
            return msg(
                "This WebUI is shared, and only its owner may do this: on the machine that it runs on, under the "
                "address 127.0.0.1. A start with --enable-insecure-extension-access lets everybody do it."
            )
        return None

    def _closed_to_strangers(self) -> Message | None:
        if is_closed_to_strangers(host_values.flags()):
            return msg(
                "This WebUI was started for other machines to reach (--listen, --share), so this cannot be changed in "
                "the page.",
                code="shared-webui",
            )
        return None

    def may_hash(self) -> bool:
        """Implement `HostFiles.may_hash` by the flag `--no-hashing`."""
        return not host_values.flag("no_hashing", False)

    # The choice

    def choice(self) -> Choice:
        """Implement `HostChoice.choice`; during an override the option does not have it, but `override` does."""
        setting = self.override.setting
        return Choice(setting) if setting is not None else self.written_choice()

    def resolution(self) -> Resolution:
        """Implement `HostChoice.resolution`; without a model there is no card and no family default."""
        return self.resolution_of(self.choice(), self.model())

    def resolution_of(self, choice: Choice, model: Any) -> Resolution:
        """Return the VAE that `choice` resolves to for the checkpoint in `model`."""
        return resolve(self.situation(choice, model))

    def situation(self, choice: Choice, model: Any) -> ResolutionContext:
        """Return the input of the rules for the checkpoint in `model`; without one, its file name is empty."""
        checkpoint_file = model.sd_checkpoint_info.filename if model is not None else ""
        return ResolutionContext(
            choice=choice,
            checkpoint_file=checkpoint_file,
            files=self.files(),
            vae_path=host_values.flag("vae_path"),
            setting_overrides_card=bool(options.read("sd_vae_overrides_per_model_preferences", True)),
            card_preference=self.preference(checkpoint_file),
            family_default=options.family_default(checkpoint_metadata.family(model)),
        )

    # The checkpoint's metadata

    def checkpoints(self) -> Sequence[str]:
        """Implement `HostChoice.checkpoints` by a copy of the WebUI's list, which another thread may change."""
        listed = host_values.value("modules.sd_models", "checkpoints_list", {})
        return [info.filename for info in list(listed.values())]

    def preference(self, checkpoint_file: str) -> str | None:
        """Implement `HostChoice.preference` by the card's key `vae`; an empty path has no card."""
        return checkpoint_metadata.preference(checkpoint_file) if checkpoint_file else None

    def write_preference(self, checkpoint_file: str, word: str | None) -> None:
        """Write `word` (None: remove it) to the card. Raises RefusedError, DiskError; the card is unchanged then."""
        checkpoint_metadata.prefer(checkpoint_file, word)

    def prefer(self, checkpoint: str, choice: Choice) -> None:
        """Implement `HostChoice.prefer`; a file that is in use already is not checked against the model."""
        refusal = self.refusal(Permission.PREFER)
        if refusal is not None:
            raise RefusedError(refusal)
        info = getattr(self.model(), "sd_checkpoint_info", None)
        if info is None or info.name_for_extra != checkpoint:
            raise RefusedError(msg("Another checkpoint has been loaded meanwhile. Nothing was changed."))
        path = self.path_of(choice)
        if path != self.vae.path(self.model()):
            self.check(choice)
        self.write_preference(info.filename, None if choice.is_automatic else choice.word)

    # The VAE in use

    def in_use(self) -> InUse:
        """Implement `HostModel.in_use` by the variables of the WebUI and the model; an empty record without a model."""
        model = self.model()
        if model is None:
            return InUse(None, None, None, None)
        return InUse(
            checkpoint=model.sd_checkpoint_info.name_for_extra,
            family=checkpoint_metadata.family(model),
            path=self.vae.path(model),
            dtype=self.vae.dtype_name(model),
            checkpoint_file=model.sd_checkpoint_info.filename,
            decoded_by_taesd=options.read("sd_vae_decode_method", "Full") != "Full",
            overridden=self.override.is_in_force or self.pass_vaes.in_force,
            identity=self.vae.identity(model),
            swap=self._last_swap(model),
            notice=self.vae.notice or self.rescuing.notice,
            refusal=self.vae.refusal,
        )

    def _last_swap(self, model: Any) -> Swap | None:
        swap = self.vae.last
        return swap if swap is not None and swap.path == self.vae.path(model) else None

    def generating(self) -> bool:
        """Implement `HostModel.generating` by `job_count` of the WebUI's state, which is 0 between requests."""
        return bool(host_values.state("job_count", 0) != 0)

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        """Implement `HostModel.run_exclusive` by the WebUI's queue lock, which each generation holds."""
        with host_values.needed("modules.call_queue", "queue_lock"):
            return work()

    def check(self, choice: Choice) -> None:
        """Implement `HostChoice.check`: Automatic and Built-in pass, and without a model every listed file."""
        path = self.path_of(choice)
        model = self.model()
        if path is not None and model is not None:
            self.vae.check(model, path)

    def choose(self, choice: Choice, still_wanted: Callable[[], bool]) -> None:
        """Implement `HostChoice.choose`: under the queue lock, the model first and the setting only after that.

        If the setting cannot be saved, the model keeps the new VAE all the same, and other extensions are notified.
        """
        refusal = self.refusal(Permission.CHOOSE)
        if refusal is not None:
            raise RefusedError(refusal)

        def change() -> None:
            if not still_wanted():
                raise Cancelled(msg("Another choice was made meanwhile."))
            self.path_of(choice)  # the file may be deleted meanwhile
            model, before = self.model(), self.vae.refusal
            try:
                swapped = model is not None and self.apply(model, choice)
            except VaeManagerError:  # reported to the person who chooses; the setting's own VAE may still be refused
                of_setting = before is not None and before.path == self.resolution().path
                self.vae.refusal = before if of_setting else None
                raise
            try:
                self.write_choice(choice)
                self.vae.refusal = None
            finally:
                if swapped:
                    self.announce(model)

        self.run_exclusive(change)

    def put_for_picture(self, model: Any, path: str | None) -> None:
        """Put the VAE at `path` (None: the checkpoint's own) into `model` for a part of a picture.

        Called under the queue lock. Raises a VaeManagerError; the previous VAE is still in use then.
        """
        if self.vae.put(model, path, by_setting=False) and path is not None and self.may_hash():
            the_service(self.data_folder).hash_in_background([Path(path)])

    def components(self) -> Sequence[Path]:
        """Implement `HostChoice.components`: none, since there is no list of files beside the checkpoint."""
        return ()

    def component_lists(self, presets: Sequence[str]) -> Mapping[str, Sequence[Path]]:
        """Implement `HostChoice.component_lists`: none."""
        return {}

    def use_components(self, lists: Mapping[str, Sequence[Path]]) -> None:
        """Raise RefusedError: there is no list of files beside the checkpoint."""
        raise RefusedError(
            msg("{webui} loads no text encoders beside the checkpoint.", code="no-components", webui=self.name)
        )

    def next_checkpoint(self) -> Path | None:
        """Implement `HostModel.next_checkpoint` by the loaded model."""
        model = self.model()
        return Path(model.sd_checkpoint_info.filename) if model is not None else None

    def try_out(self, path: Path) -> LatentTest:
        """Implement `HostModel.try_out` under the queue lock. Raises RefusedError too if no checkpoint is loaded."""
        model = self.model()
        if model is None:
            raise RefusedError(msg("No checkpoint is loaded, so there is nothing to try {file} with.", file=path.name))
        return self.run_exclusive(lambda: self.vae.try_out(model, str(path)))

    def follow_setting(self) -> None:
        """Put the VAE of the present setting into the model, if it is another one.

        For a model that was already loading, with the old setting, when the choice was made.
        """
        self.run_exclusive(self.before_generation)
