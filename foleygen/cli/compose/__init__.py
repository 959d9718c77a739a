"""Commands of the second engine: ambience, fill, extend."""
