"""Patches of the WebUI's functions, those of X/Y/Z plots and of infotext among them.

Patches go through the WebUI's own registry (modules/patches.py) and are applied once, however often the UI is reloaded.
Each patched function has an error boundary. A `VaeManagerError` is a refusal, and the WebUI gets it. Any other error of
the extension is a fault, which is recorded; the WebUI then gets the result of its own function, which is called now if
it was not called before.

In an X/Y/Z plot over VAEs, a cell whose VAE is refused shows the reason, and the other cells are made. The plot's
script makes each cell by `process_images`. A cell that raises leaves a blank square; if it is the first one, the whole
plot is lost, since the script then reads prompts and seeds that this cell has not got yet (xyz_grid.py:720).
"""

from __future__ import annotations

import functools
import importlib
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from modules import patches

from ....compare.pictures import with_fields
from ....errors import RefusedError, VaeManagerError
from ....infotext import BASE_VAE, HIRES_VAE, REFINER_VAE, NamedVae
from ....messages import Message, msg
from ....service import Service, the_service
from ...faults import FAULTS, mark_boundary
from ...pasted_pictures import local_word, paste
from .. import host_values
from . import options
from .adapter import FamilyWebUI

KEY = "vae-manager"
SOURCE = "__vae_manager_source__"
"""An attribute of a patched function: the globals of the module that it was made in."""
READ_WITHOUT_UNPICKLING = (".safetensors",)
"""Extensions, in any case, of files that every WebUI reads without running code."""

Function = Callable[..., Any]

logger = logging.getLogger(__name__)

NEEDED = ("draw_xyz_grid", "process_images")
"""The names by which the plot's script is recognised."""

SHORT_HASH = 10
"""Digits."""

NAME, HASH = "VAE", "VAE hash"

FILE: Final = "params.txt"


@dataclass(frozen=True)
class Patch:
    """The replacement of one of the WebUI's functions."""

    place: Any
    """The owner of the function: a module, a class, or `MODULE:CLASS`, which is looked up when the patch is applied."""
    name: str
    make: Callable[[Any, Function], Function]
    """Makes the new function from the host and the WebUI's own function."""
    fall_back: Callable[[Function], Function] = lambda original: original
    """Wraps the WebUI's own function for a call after a fault of the extension. If it can read a user's VAE file, it
    must not read a pickle."""

    def resolved_place(self) -> Any:
        """Return the owner of the function; a text is imported. Raises ImportError and AttributeError."""
        if not isinstance(self.place, str):
            return self.place
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)


def install(host: Any, wanted: Iterable[Patch]) -> None:
    """Apply the missing patches. A patch that fails is recorded as a fault, and the others are applied."""
    for patch in wanted:
        with FAULTS.suppressed(guard_of(patch)):
            place = patch.resolved_place()
            original = getattr(place, patch.name)
            if patches.original(KEY, place, patch.name) is None:
                patches.patch(KEY, place, patch.name, _with_boundary(host, patch, original))


def remove(source: ModuleType, wanted: Iterable[Patch]) -> None:
    """Remove the patches of the module `source`; a patch with another extension's patch on top stays."""
    for patch in wanted:
        with FAULTS.suppressed(guard_of(patch)):
            place = patch.resolved_place()
            applied = patches.original(KEY, place, patch.name) is not None
            if applied and is_of(source, getattr(place, patch.name)):
                patches.undo(KEY, place, patch.name)


def is_of(source: ModuleType, function: Function) -> bool:
    """Return True if a patch was made by this very module: one that was imported anew has other globals."""
    return getattr(function, SOURCE, None) is vars(source)


def guard_of(patch: Patch) -> Message:
    """Return the name under which the faults of a patch are recorded, and so shown once each."""
    return msg("The guard of “{name}”", name=patch.name)


def refuse_pickles(*paths: str | None, harmless: tuple[str, ...] = READ_WITHOUT_UNPICKLING) -> None:
    """Check a file that the WebUI's own reader is about to read after a fault of the extension. Raises RefusedError.

    `harmless` are the extensions of files that this WebUI reads without running code.
    """
    for path in paths:
        if path is not None and not str(path).lower().endswith(harmless):
            raise RefusedError(
                msg(
                    "{file} was not loaded: the extension's own reader does not work on this WebUI, and another one "
                    "could run what is in the file. The VAE in use is unchanged. A .safetensors file can be loaded.",
                    code="broken-edge",
                    file=str(path),
                )
            )


class _Watched:
    """A wrapper of the WebUI's own function for one call, which records its outcome."""

    def __init__(self, original: Function) -> None:
        self.is_done = False
        self.result: Any = None
        self.error: Exception | None = None
        self.raised: list[Exception] = []
        """All its errors: a patch may call it again after one, and raise an earlier one."""

        @functools.wraps(original)
        def call(*args: Any, **kwargs: Any) -> Any:
            self.is_done, self.error = False, None
            try:
                self.result = original(*args, **kwargs)
            except Exception as error:
                self.error = error
                self.raised.append(error)
                raise
            self.is_done = True
            return self.result

        self.call = call


def _with_boundary(host: Any, patch: Patch, original: Function) -> Function:
    @functools.wraps(original)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        own = _Watched(original)
        try:
            return patch.make(host, own.call)(*args, **kwargs)
        except VaeManagerError:
            raise
        except Exception as error:
            is_own = any(error is raised for raised in own.raised)
            if is_own or (own.error is not None and isinstance(error, type(own.error))):
                raise  # the WebUI's own error, or one in its words
            FAULTS.record(guard_of(patch), error)
            if own.error is not None:
                raise own.error from None
            if own.is_done:
                return own.result
        return patch.fall_back(original)(*args, **kwargs)

    setattr(wrapper, SOURCE, patch.make.__globals__)
    return mark_boundary(wrapper)


def pass_patches() -> Iterator[Patch]:
    """Yield the patches for VAEs of single passes: see `pass_vaes`."""
    yield Patch("modules.processing:StableDiffusionProcessingTxt2Img", "sample_hr_pass", _sample_hr_pass)
    yield Patch(importlib.import_module("modules.processing"), "process_images_inner", _process_images_inner)


def _sample_hr_pass(host: FamilyWebUI, original: Function) -> Function:
    def sample_hr_pass(p: Any, *args: Any, **kwargs: Any) -> Any:
        with host.pass_vaes.hires(p):
            return original(p, *args, **kwargs)

    return sample_hr_pass


def _process_images_inner(host: FamilyWebUI, original: Function) -> Function:
    def process_images_inner(p: Any) -> Any:
        host.rescuing.begin(p)
        with host.pass_vaes.generation(p):
            return original(p)

    return process_images_inner


def infotext_patch() -> Iterator[Patch]:
    """Yield the patch of infotext: a picture may have been rescued by another VAE than that in the model."""
    yield Patch(importlib.import_module("modules.processing"), "create_infotext", _create_infotext)


def _create_infotext(host: FamilyWebUI, original: Function) -> Function:
    def create_infotext(p: Any, *args: Any, **kwargs: Any) -> str:
        text = original(p, *args, **kwargs)
        return host.rescuing.named(p, text, original, *args, **kwargs)

    return create_infotext


def plot_patches() -> Iterator[Patch]:
    """Yield the patches of the loaded scripts; empty before the WebUI has loaded its scripts."""
    for module in plots():
        yield Patch(module, "process_images", _process_images)


def plots() -> Iterator[ModuleType]:
    """Yield the modules of X/Y/Z plots among the loaded scripts."""
    known = set()
    for data in list(host_values.value("modules.scripts", "scripts_data", [])):
        module = getattr(data, "module", None)
        if module is not None and all(hasattr(module, name) for name in NEEDED) and id(module) not in known:
            known.add(id(module))
            yield module


def _process_images(host: Any, original: Function) -> Function:
    def process_images(p: Any) -> Any:
        try:
            return original(p)
        except VaeManagerError as error:
            logger.warning("%s", error.message)
            return _refused_cell(p, str(error.message))

    return process_images


def _refused_cell(p: Any, text: str) -> Any:
    """Return the result of a refused cell: a picture of the sentence, with the sentence as its infotext."""
    from ....compare.pictures import written_out

    if not p.all_prompts:
        p.setup_prompts()
    count = len(p.all_prompts)
    p.all_seeds, p.all_subseeds = (_numbers(given, count) for given in (p.seed, p.subseed))
    p.comment(text)
    picture = written_out(text, _size(p))
    return host_values.needed("modules.processing", "Processed")(p, [picture], p.all_seeds[0], text, infotexts=[text])


def _numbers(given: Any, count: int) -> list[int]:
    numbers = given if isinstance(given, list) else [given]
    return [int(number) for number in (numbers * count)[:count]]


def _size(p: Any) -> tuple[int, int]:
    """Return the size of the pictures of the other cells."""
    if not getattr(p, "enable_hr", False):
        return p.width, p.height
    p.calculate_target_resolution()
    return p.hr_upscale_to_x, p.hr_upscale_to_y


def decoder(host: FamilyWebUI) -> tuple[str | None, str | None]:
    """Return name and short hash of the VAE file that decodes now; None for Built-in and for TAESD."""
    if options.read("sd_vae_decode_method", "Full") != "Full":
        return None, None
    model = host.model()
    path = host.vae.path(model) if model is not None else None
    return (Path(path).name if path is not None else None), short_hash(host)


def short_hash(host: FamilyWebUI) -> str | None:
    """Return the first digits of the SHA-256 of the file whose weights are in the model; None if it is unknown."""
    model = host.model()
    file = host.vae.path(model) if model is not None else None
    if file is None:
        return None
    hashes = the_service(host.data_folder).stores.hashes
    identity = host.vae.identity(model)
    sha256 = hashes.known_of(identity) if identity is not None else hashes.known(Path(file))
    return sha256[:SHORT_HASH] if sha256 is not None else None


def into_fields(host: FamilyWebUI, service: Service, fields: dict[str, Any]) -> None:
    """Let the fields of an infotext name the VAE for the next generation."""
    name, short_hash = fields.get(NAME), fields.get(HASH)
    passes = into_pass_fields(host, service, fields)
    if passes.base is not None:
        name, short_hash = passes.base, None
    if not name:  # made with Built-in, or the person lets the WebUI skip the field
        service.picture = None
        passes.notice_missing(host, service)
        return
    word = paste(host, service, NamedVae.read(str(name), short_hash))
    if word is None:
        fields.pop(NAME, None)
    else:
        fields[NAME] = word
    passes.notice_missing(host, service)


@dataclass(frozen=True)
class PastedPasses:
    """What a pasted infotext says of the VAEs of single passes."""

    base: str | None
    """The VAE of the other passes; None if no pass had one of its own."""
    missing: NamedVae | None
    """A pass's VAE that is not here."""

    def notice_missing(self, host: FamilyWebUI, service: Service) -> None:
        """Let the page tell of the missing one, unless it has to tell of the base VAE."""
        if self.missing is not None and service.picture is None:
            paste(host, service, self.missing)


def into_pass_fields(host: FamilyWebUI, service: Service, fields: dict[str, Any]) -> PastedPasses:
    """Let the fields of single passes name the words for their pickers, and remove the one of the base VAE.

    A VAE that is not here leaves its pass without one. The hash is that of the decoder, which the last pass brought. A
    base VAE is nothing to the person who lets the WebUI skip the field `VAE`.
    """
    missing = None
    last = REFINER_VAE if REFINER_VAE in fields else HIRES_VAE
    for key in (HIRES_VAE, REFINER_VAE):
        if key in fields:
            named = NamedVae.read(str(fields[key]), fields.get(HASH) if key == last else None)
            word = local_word(host, service, named)
            if word is None:
                missing = named
                del fields[key]
            else:
                fields[key] = word
    base = fields.pop(BASE_VAE, None)
    skipped = NAME in (options.read("infotext_skip_pasting", []) or ())
    return PastedPasses(str(base) if base is not None and not skipped else None, missing)


def follow(host: FamilyWebUI, p: Any) -> None:
    """Let the infotext of `p` name the VAE that has decoded its batch.

    params.txt, which is that of the first batch, follows if a refiner, a hires checkpoint or a VAE of a single pass has
    brought another VAE.
    """
    before = host.pass_vaes.named_before(p)
    if before is None:
        before = p.sd_vae_name, p.sd_vae_hash
        host.name_decoder(p)
    rescuer = host.rescuing.decoder(p)
    if rescuer is not None:
        file, p.sd_vae_hash = rescuer
        p.sd_vae_name = Path(file).name if file is not None else None
    fields = host.pass_vaes.fields(p)
    is_right = (p.sd_vae_name, p.sd_vae_hash) == before and not fields
    if is_right or p.iteration or host_values.flag("no_prompt_history", False):
        return
    path = host_values.data_path() / FILE
    text = path.read_text(encoding="utf-8")
    named = with_fields(host.infotext_of(text, p.sd_vae_name, p.sd_vae_hash), fields)
    if named != text:
        path.write_text(named, encoding="utf-8")
