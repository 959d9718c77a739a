"""``foleygen library``: recordings of one's own."""
