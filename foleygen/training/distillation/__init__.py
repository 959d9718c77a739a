"""The student of a transformer: what it learns from, and how."""
