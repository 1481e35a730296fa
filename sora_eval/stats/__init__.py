"""Statistics over score rows: intervals, paired tests, multiple comparisons, the gate's decision."""
