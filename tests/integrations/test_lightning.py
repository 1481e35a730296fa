"""Evaluation in a training by Lightning: the same weights bit for bit, scores at the loggers, the best checkpoint kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from integrations.loops import Network, loader, loss_of, random_states, seeded

pytest.importorskip("lightning")

import lightning.pytorch as pl
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger

from sora_eval.integrations.lightning import EvaluationCallback
from sora_eval.integrations.steps import StepEvaluator

pytestmark = pytest.mark.filterwarnings("ignore")


class Module(pl.LightningModule):
    """The small network as a LightningModule."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network()

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        return loss_of(self.network, batch[0])

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=1e-2)


def trained(folder: Path, evaluated: bool, accumulate: int = 1, epochs: int = 1) -> tuple[Any, ...]:
    """Train for an epoch of 6 batches; return weights, states of generators, and the rows of the logger."""
    seeded()
    module = Module()
    module.network.layers[3].eval()
    evaluator = StepEvaluator(
        module.network.sample, every_n_steps=2, probes=["relation"], modes=["t2v"], count=1, name="mine"
    )
    best = ModelCheckpoint(folder / "best", monitor="sora_eval/score/all", mode="max", every_n_train_steps=2)
    logger = CSVLogger(folder)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=epochs, accumulate_grad_batches=accumulate, logger=logger, enable_progress_bar=False,
        enable_model_summary=False, callbacks=[EvaluationCallback(evaluator), best] if evaluated else [], enable_checkpointing=evaluated,
    )  # fmt: skip
    trainer.fit(module, loader())
    return module.state_dict(), random_states(), [m.training for m in module.modules()], logger, folder / "best"


@pytest.mark.parametrize(("accumulate", "steps"), [(1, [2, 4, 6]), (3, [2])])
def test_a_training_is_the_same_with_and_without(tmp_path: Path, accumulate: int, steps: list[int]) -> None:
    weights, states, modes, logger, best = trained(tmp_path / "with", True, accumulate)
    plain, plain_states, plain_modes, _, _ = trained(tmp_path / "without", False, accumulate)
    assert weights.keys() == plain.keys() and all(torch.equal(weights[k], plain[k]) for k in weights)
    assert states == plain_states and modes == plain_modes
    rows = (Path(logger.log_dir) / "metrics.csv").read_text().splitlines()
    names = rows[0].split(",")
    assert "sora_eval/score/left_right/relation" in names
    assert [int(row.split(",")[names.index("step")]) for row in rows[1:]] == steps
    assert list(best.glob("*.ckpt"))
