"""Options of a diffusers pipeline; importing them needs neither torch nor diffusers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from sora_eval.generator.base import file_safe
from sora_eval.settings import Settings, option
from sora_eval.types import MODES, Mode


@dataclass(frozen=True)
class PipelineOptions(Settings):
    """Options of a diffusers pipeline."""

    GROUP: ClassVar[str] = "generator"

    model: str = option()
    """A folder in diffusers' format, or a model's name on the hub."""
    pipeline: str | None = None
    """Class of the pipeline, such as WanImageToVideoPipeline; null for the one that the model names."""
    checkpoint: str | None = None
    """Weights in place of the model's own: LoRA, or those of its transformer or UNet; a file or a folder. The rest stays loaded."""
    lora_scale: float = option(1.0, least=-10, most=10)
    """Weight of a LoRA."""
    title: str | None = None
    """Name of the generator in reports; null takes the model's and the checkpoint's."""
    modes: tuple[Mode, ...] | None = option(None, choices=MODES, example="t2v")
    """The modes to use the pipeline in, null for what its arguments allow: image for i2v, video or conditions for v2v."""
    max_frames: int | None = option(None, least=1)
    """The longest clip that it makes, null for no limit."""
    steps: int | None = option(None, least=1, most=1000)
    """Steps of the sampler, null for the pipeline's own number."""
    guidance: float | None = option(None, least=0)
    """Scale of classifier-free guidance, null for the pipeline's own."""
    negative_prompt: str | None = None
    """What the video should not show, null for nothing."""
    scheduler: str | None = None
    """Class of another scheduler, made from the configuration of the model's own."""
    arguments: Mapping[str, Any] = option({})
    """Further arguments of the pipeline's call, such as {strength: 0.7}."""
    width: int | None = option(None, least=8)
    """Width of the videos, null for the case's, rounded as the pipeline needs it."""
    height: int | None = option(None, least=8)
    """Height, likewise."""
    fps: float | None = option(None, above=0, most=240)
    """Frames per second that the model makes, null for what is known of the pipeline, else the case's."""
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Number format of the weights; auto: bfloat16 on a GPU, float32 on a CPU."""
    device: str = "auto"
    """cuda, cuda:1, mps or cpu; auto for a GPU where there is one."""
    device_map: str | None = None
    """How the parts are spread over devices, such as balanced; null for all on one."""
    offload: Literal["none", "model", "sequential"] = "none"
    """Whether parts wait in the CPU's memory: model (some slower) or sequential (least memory)."""
    batch: int = option(1, least=1, most=256)
    """Videos at a time; halved when memory runs out."""
    compile: bool = False
    """Whether to compile the transformer or UNet."""

    @property
    def label(self) -> str:
        """The title, or the names of model and checkpoint, file-name safe."""
        parts = [Path(self.model).name, *([Path(self.checkpoint).stem] if self.checkpoint else [])]
        return self.title or file_safe("-".join(parts))
