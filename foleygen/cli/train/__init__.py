"""``foleygen train``: datasets, trainings, bundles."""
