"""``foleygen evaluate``: what sounds and models are worth, each number with its null."""
