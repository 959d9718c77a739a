"""Sound as numbers: mels and back, windows joined, levels, onsets."""
