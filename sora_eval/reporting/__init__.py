"""The report of a run: tables, plots, players and one static HTML page."""

from sora_eval.reporting.report import write_report
from sora_eval.reporting.summary import Cell, Reason, Summary, summarise
from sora_eval.reporting.text import table

__all__ = ["Cell", "Reason", "Summary", "summarise", "table", "write_report"]
