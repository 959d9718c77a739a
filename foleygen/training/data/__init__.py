"""What is learnt from: recordings, footage, composed scenes, clips of one's own."""
