"""Audits of other people's metrics, reward models and judges: which clips that are wrong score better than the truth."""

BUNDLED_SCORERS = ("ssim_first_frame", "clipsim", "dynamic_degree", "subject_consistency", "physics_iq")
"""Names of the scorers that come with the package."""
