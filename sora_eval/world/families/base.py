"""The base class of scene families: typed parameters -> scene, caption and what a prompt adds to it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar, get_args

import numpy as np

from sora_eval.world.families import common
from sora_eval.world.families.params import Params
from sora_eval.world.scene import Scene

P = TypeVar("P", bound=Params)


class Family(ABC, Generic[P]):
    """A kind of scene: random members of it, their mirror images, and the words for them.

    The first line of a subclass's docstring is its entry in `sora-eval list families`. A family is stateless; a module of
    this package that defines one is all that it takes to add it.
    """

    name: ClassVar[str]
    """The family's name in cases and on the command line."""
    Params: type[P]
    """The dataclass of the parameters, taken from `Family[...]`."""
    camera: ClassVar[str] = common.STILL
    """The sentence on the camera that ends a prompt; "" where the captions describe the camera."""
    in_training: ClassVar[bool] = True
    """Whether training sets, the vocabulary and the corrupted sets of clips contain it: a family that joins them makes each of them another
    one."""
    camera_is_given: ClassVar[bool] = False
    """Whether the camera's exact path is exported with the prompts of its cases."""
    actions_are_given: ClassVar[bool] = False
    """Whether the actions of a player are exported with the prompts of its cases; its scenes' facts then have "actions" [(t_s, action)],
    "per_action" and "player_view", see `world.action_scripts`."""

    def __init_subclass__(cls) -> None:
        """Take `Params` from the type argument."""
        super().__init_subclass__()
        for argument in (a for base in getattr(cls, "__orig_bases__", ()) for a in get_args(base)):
            if isinstance(argument, type):
                cls.Params = argument

    @abstractmethod
    def sample(self, rng: np.random.Generator) -> P:
        """Return the parameters of a random member."""

    def mirrored(self, p: P) -> P:
        """Return the parameters of the scene with left and right exchanged: field by field, by their types."""
        return p.mirrored()

    @abstractmethod
    def build(self, p: P, duration_s: float) -> Scene:
        """Return the scene; key frames scale with the duration, physics does not."""

    @abstractmethod
    def phrases(self, p: P) -> Sequence[str]:
        """Return the phrasings of the short caption; each states everything that is judged."""

    @abstractmethod
    def details(self, p: P) -> str:
        """Return the sentences that a long caption adds."""

    def caption(self, p: P, rng: np.random.Generator, long: bool = False) -> str:
        """Return one of the phrasings as a sentence, with the details if `long`."""
        phrases = self.phrases(p)
        words = common.sentence(phrases[int(rng.integers(len(phrases)))])
        return f"{words} {self.details(p)}" if long else words

    def setting(self, p: P) -> str:
        """Return what a prompt adds to the short caption: floor, backdrop and camera."""
        return common.setting(p.style, self.camera)

    def read(self, values: Mapping[str, Any]) -> P:
        """Return the parameters of a member from their JSON form.

        Raises:
            ConfigError: a key is missing or unknown, or a value is not of its field's type.
        """
        return self.Params.from_json(values, f"{self.name} params")


class StateChange(Family[P]):
    """A family in which something changes for good."""

    @abstractmethod
    def states(self, p: P) -> tuple[str, str]:
        """Return a sentence on the frame before the change and one on the frame after it."""
