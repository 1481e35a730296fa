"""Callbacks for training loops: a suite is evaluated every so many steps, and the training goes on as if nothing had happened.

- `steps.StepEvaluator`: for loops of one's own, as those of accelerate and diffusers are;
- `lightning.EvaluationCallback`: the same for Lightning.

Nothing of sora-eval imports this package, and it imports a framework only in the module that is named after it.
"""
