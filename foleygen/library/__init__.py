"""An editor's own recordings: what is in them, cut into events, and where to find the nearest one."""
