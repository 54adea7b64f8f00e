"""A host made of plain values: it does what the Protocol says and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from tests.files.samples import checkpoint
from tests.webui.greys import GreyComparing
from vae_manager.choice import AUTOMATIC, Choice, Resolution, ResolutionContext, resolve
from vae_manager.errors import Cancelled, RefusedError
from vae_manager.library import Folder, scan
from vae_manager.messages import Message, msg
from vae_manager.records.verdict import A1111, VaeSignature
from vae_manager.swap import LatentTest
from vae_manager.webui.admission import Listening
from vae_manager.webui.hosts.host_values import OWNERS, Ignored, InUse, Permission, Refusal

Result = TypeVar("Result")


def unfit(file: str) -> Message:
    """The reason of this host and of its comparisons against a file that is called bad."""
    return msg("{file} suits nothing here.", code="unfit", file=file)


class PlainHost:
    """One checkpoint, one VAE folder, a setting; choosing takes effect at once."""

    name = "plain"
    version = "1"
    shared_with_others = False
    capability = A1111

    def __init__(self, folder: Path) -> None:
        self.root = folder
        self.vaes = folder / "models" / "VAE"
        self.vaes.mkdir(parents=True)
        self.word = AUTOMATIC.word
        self.loaded: str | None = None
        self.listed: dict[str, str] = {}
        self.refused: dict[Permission, Message] = {}
        self.family: str | None = "sd1"
        self.latent_channels = 4
        self.checkpoint: str | None = "demo"
        self.quick = ["sd_model_checkpoint", "CLIP_stop_at_last_layers"]
        self.reloads = 0
        self.endpoint_address: str | None = None
        self.others: list[Path] = []
        self.most_connections = 32
        self.bytes_per_second: float | None = None
        self.spoken = "None"
        self.taesd = False
        self.refused_vae: Refusal | None = None
        self.ignored: tuple[Ignored, ...] = ()
        self.hashing = True
        self.making_a_picture = False
        self.converting = True
        self.vae_path: str | None = None
        self.default: str | None = None
        self.setting_overrides_card = True
        self.cards: dict[str, str] = {}
        """By the file of the checkpoint."""
        self.other_checkpoints: list[str] = []
        self.comparing = GreyComparing(self)
        self.encoders: Path | None = None
        """The folder of text encoders; None on a WebUI without one."""
        self.components_set: list[Path] = []
        self.of_presets: dict[str, list[Path]] = {}
        """The list of each preset that has one of its own."""

    def next_checkpoint(self) -> Path | None:
        return Path(self.checkpoint_file) if self.checkpoint_file else None

    def signature(self) -> VaeSignature:
        return checkpoint(self.latent_channels, self.family) if self.checkpoint is not None else VaeSignature(None)

    @property
    def data_folder(self) -> Path:
        return self.root / "vae-manager"

    def folders(self) -> Sequence[Folder]:
        return [Folder(self.vaes, "vae")]

    def download_folder(self) -> Path:
        return self.vaes

    def encoder_folders(self) -> Sequence[Path]:
        return [self.encoders] if self.encoders is not None else []

    def components(self) -> Sequence[Path]:
        return self.components_set

    def component_lists(self, presets: Sequence[str]) -> Mapping[str, Sequence[Path]]:
        return {"": self.components_set, **{preset: self.of_presets.get(preset, []) for preset in presets}}

    def use_components(self, lists: Mapping[str, Sequence[Path]]) -> None:
        self.of_presets = {name: list(files) for name, files in lists.items() if name}
        self.components_set = list(lists[""])

    def other_folders(self) -> Sequence[Path]:
        return self.others

    def endpoint(self) -> str | None:
        return self.endpoint_address

    def token_hosts(self) -> frozenset[str]:
        return frozenset()

    def http_hosts(self) -> frozenset[str]:
        return frozenset()

    def connections(self) -> int:
        return self.most_connections

    def bandwidth(self) -> float | None:
        return self.bytes_per_second

    def converts(self) -> bool:
        return self.converting

    def files(self) -> Mapping[str, str]:
        return self.listed

    def refresh(self, gone: Path | None = None) -> None:
        self.listed = {file.name: str(file.path) for file in scan(self.folders())}

    def refusal(self, act: Permission, *, remote: bool = False) -> Message | None:
        return msg("Only the owner may do this.") if remote and act in OWNERS else self.refused.get(act)

    @property
    def shows_paths(self) -> bool:
        return not self.shared_with_others

    def listening(self) -> Listening:
        return Listening(not self.shared_with_others)

    def choice(self) -> Choice:
        return Choice(self.word)

    def check(self, choice: Choice) -> None:
        if choice.file_name is not None and "bad" in choice.file_name:
            raise RefusedError(unfit(choice.file_name))

    def choose(self, choice: Choice, still_wanted: Callable[[], bool]) -> None:
        if not still_wanted():
            raise Cancelled(msg("Superseded."))
        self.check(choice)
        self.word = choice.word
        self.loaded = self.resolution().path

    def resolution(self) -> Resolution:
        return resolve(
            ResolutionContext(
                self.choice(),
                self.checkpoint_file,
                self.listed,
                vae_path=self.vae_path,
                setting_overrides_card=self.setting_overrides_card,
                card_preference=self.preference(self.checkpoint_file),
                family_default=self.default,
            )
        )

    @property
    def checkpoint_file(self) -> str:
        return str(self.root / "models" / f"{self.checkpoint}.safetensors") if self.checkpoint else ""

    def checkpoints(self) -> Sequence[str]:
        return [self.checkpoint_file, *self.other_checkpoints]

    def preference(self, checkpoint_file: str) -> str | None:
        return self.cards.get(checkpoint_file)

    def prefer(self, checkpoint: str, choice: Choice) -> None:
        if checkpoint != self.checkpoint:
            raise RefusedError(msg("Not that checkpoint.", code="other-checkpoint"))
        self.cards.pop(self.checkpoint_file, None)
        if not choice.is_automatic:
            self.cards[self.checkpoint_file] = choice.word

    def follow_setting(self) -> None:
        self.loaded = self.resolution().path

    def try_out(self, path: Path) -> LatentTest:
        return LatentTest(own_db=30.0, found_db=29.0 if "same" in path.name else 8.0)

    def in_use(self) -> InUse:
        return InUse(
            self.checkpoint,
            self.family,
            self.loaded,
            "fp32",
            checkpoint_file=self.checkpoint_file or None,
            decoded_by_taesd=self.taesd,
            refusal=self.refused_vae,
            ignored=self.ignored,
        )

    def generating(self) -> bool:
        return self.making_a_picture

    def run_exclusive(self, work: Callable[[], Result]) -> Result:
        return work()

    def may_hash(self) -> bool:
        return self.hashing

    def quick_settings(self) -> Sequence[str]:
        return self.quick

    def set_quick_settings(self, names: Sequence[str]) -> None:
        self.quick = list(names)

    def reload_page(self) -> None:
        self.reloads += 1

    def language(self) -> str:
        return self.spoken

    def translations(self) -> Mapping[str, str]:
        return {}
