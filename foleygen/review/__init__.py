"""A folder of finished clips as a page: look, listen, pick, and move what sounds to where it belongs."""
