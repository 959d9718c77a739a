"""One kind of marker file a module, both ways."""
