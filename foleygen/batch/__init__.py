"""Many clips: discover, plan, skip, run; one entry of the report for each."""
