"""``foleygen bench``: how fast, and with how much memory."""
