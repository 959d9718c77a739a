"""Frames to conditioning features, and the cache that keeps them."""
