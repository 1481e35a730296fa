"""The report of a run: tables, plots, players and one static HTML page."""

from sora_eval.reporting.components.text import table
from sora_eval.reporting.report.write import write_report
from sora_eval.stats.summary import Cell, Reason, Summary, summarise

__all__ = ["Cell", "Reason", "Summary", "summarise", "table", "write_report"]
