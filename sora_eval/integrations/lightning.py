"""Evaluation within a training by Lightning: `Trainer(callbacks=[EvaluationCallback(StepEvaluator(module.sample, every_n_steps=500))])`."""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from sora_eval.integrations.steps import StepEvaluator


class EvaluationCallback(Callback):
    """Evaluates after every so many optimizer steps and sends the scores to the trainer's loggers.

    All networks of the LightningModule are in evaluation mode meanwhile. The scores are metrics of the trainer too, so that
    `ModelCheckpoint(monitor="sora_eval/score/all", mode="max")` can keep the best.
    """

    def __init__(self, evaluator: StepEvaluator) -> None:
        """Take what evaluates: model, suite and steps."""
        self.evaluator = evaluator

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Count from where the training begins or resumes."""
        self.evaluator.start(trainer.global_step)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Evaluate in the first process, while the others wait."""
        step = trainer.global_step
        if not self.evaluator.is_due(step):
            return
        if trainer.is_global_zero:
            scores = self.evaluator.evaluate(step, modules=[pl_module])
            for logger in trainer.loggers if scores else ():
                logger.log_metrics(scores, step)
            # The loggers have them: by log() they would wait for a multiple of log_every_n_steps.
            pl_module.log_dict(scores, logger=False, on_step=True, on_epoch=False, rank_zero_only=True)
        trainer.strategy.barrier("sora_eval")
