"""The bundled reference generator: a small, real Sora, trained on clips of the simulated world."""
