"""foleygen: soundtracks for silent clips, made from their pictures."""

__version__ = "0.1.0"
