"""When a clip sounds, and as what: cues, the words for them, and the files that they come from and go to."""
