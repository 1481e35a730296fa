"""Prompts as they are sent: rewriting before a model gets them, and a check that what they state survives it."""
