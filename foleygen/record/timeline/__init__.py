"""Finished clips in order, as files that editing programs open."""
