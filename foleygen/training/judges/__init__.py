"""Networks that judge what was made: alignment, families and materials of sounds."""
