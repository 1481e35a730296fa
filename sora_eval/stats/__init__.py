"""Statistics over score rows: intervals, paired tests, multiple comparisons, power, the gate's decision, and the summary."""
