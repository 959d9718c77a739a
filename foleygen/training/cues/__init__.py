"""The adapter of cues and words: what it learns from, and how."""
