"""Published models: their keys and shapes, and how their files become bundles."""
