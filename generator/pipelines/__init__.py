"""Pipelines of the diffusers library as generators."""
