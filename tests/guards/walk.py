"""A random walk among good and bad VAEs by all ways, with checkpoints switched and the WebUI's own swaps between."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

from ..live.webui import Picture
from .bad_files import BAD
from .stage import BY_CARD, Stage

GUARDS = "vae_manager_guards"
NOT_LOCKED = tuple(bad.name for bad in BAD if bad.name != "bad-locked.safetensors")


class Walk:
    """Steps from a seed. What a VAE and a checkpoint give must be the same pixels each time that they are met."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.stage = stage
        self.chance = random.Random(seed)
        self.swaps = 0
        self.pictures = 0
        self.drifted: list[str] = []
        self.untold: list[str] = []
        self.done: Counter[str] = Counter()
        self._bad = sorted(stage.webui.listed().intersection(NOT_LOCKED))
        self._good: dict[str, str | None] = {name: name for name in (stage.a, stage.b, stage.c)}
        self._good["None"] = None
        self._seen: dict[tuple[str, str | None], Picture] = {}
        self._checkpoint, self._word = stage.first, "None"
        stage.unknown()
        stage.webui.set(sd_vae="None", sd_checkpoints_limit=1, **{BY_CARD: True, GUARDS: True})
        stage.checkpoint(stage.first)

    def step(self, *, look: bool) -> None:
        """One random operation; `look`: then a plain picture too."""
        works: dict[Callable[[], None], int] = {
            self._choose: 30,
            self._pick: 15,
            self._override: 15,
            self._bad_option: 12,
            self._bad_override: 12,
            self._bad_pick: 6,
            self._switch: 6,
            self._unguarded: 4,
            self._limit: 2,
        }
        (work,) = self.chance.choices(list(works), list(works.values()))
        self.done[work.__name__.strip("_").replace("_", " ")] += 1
        work()
        if look:
            self.look()

    def look(self) -> None:
        """A plain picture: its pixels, its infotext and the setting."""
        self._compare(self.stage.picture(), self._word)
        if (chosen := self.stage.webui.option("sd_vae")) != self._word:
            self.drifted.append(f"the setting is {chosen}, not {self._word}")

    def _compare(self, picture: Picture, word: str) -> None:
        self.pictures += 1
        name = self._good[word]
        known = self._seen.setdefault((self._checkpoint, name), picture)
        if picture.vae != name or not picture.looks_like(known):
            self.drifted.append(f"{self._checkpoint} with {name}: {picture.infotext.splitlines()[-1]}")

    def _any_good(self) -> str:
        return self.chance.choice(list(self._good))

    def _choose(self) -> None:
        self._word = self._any_good()
        self.stage.webui.set(sd_vae=self._word)
        self.swaps += 1

    def _pick(self) -> None:
        word = self._any_good()
        label = "Built-in" if word == "None" else word
        status, _ = self.stage.webui.fire("vae_manager_txt2img_pick", word, "everywhere", answers=True)
        assert status == 200, label
        self.stage.status()
        self._word = word
        self.swaps += 1

    def _override(self) -> None:
        word = self._any_good()
        self._compare(self.stage.picture(override_settings={"sd_vae": word}), word)
        self.swaps += 2

    def _bad_option(self) -> None:
        name = self.chance.choice(self._bad)
        self.stage.webui.set(sd_vae=name)
        self._told(self.stage.status(), name)

    def _bad_override(self) -> None:
        name = self.chance.choice(self._bad)
        status, answer = self.stage.try_picture(override_settings={"sd_vae": name})
        self._told(str(answer.get("errors")) if status == 500 else f"{status}", name)

    def _bad_pick(self) -> None:
        name = self.chance.choice(self._bad)
        self.stage.webui.fire("vae_manager_txt2img_pick", name, "everywhere", answers=True)
        self._told(self.stage.status(), name)

    def _told(self, text: str, name: str) -> None:
        self.swaps += 1
        if name not in text:
            self.untold.append(f"{name}: {text[:300]}")

    def _switch(self) -> None:
        """With one checkpoint in memory the WebUI writes the other's weights into the same model, in place."""
        self._checkpoint = self.stage.second if self._checkpoint == self.stage.first else self.stage.first
        self.stage.webui.set(sd_model_checkpoint=self._checkpoint)
        self.swaps += 1

    def _unguarded(self) -> None:
        """Two swaps of the WebUI's own, which writes into the tensors that it finds."""
        self.stage.webui.set(**{GUARDS: False})
        for word in (self._any_good(), self._any_good()):
            self._word = word
            self.stage.webui.set(sd_vae=word)
        self.stage.webui.set(**{GUARDS: True})
        self.swaps += 2

    def _limit(self) -> None:
        self.stage.webui.set(sd_checkpoints_limit=self.chance.choice([1, 2]))
