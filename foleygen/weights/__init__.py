"""Bundles of weights: what they are, where they are, how to get them."""
