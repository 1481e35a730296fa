"""Parts that all pages share: tables, plots, players."""
