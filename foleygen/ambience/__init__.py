"""The second engine: ambience from words, holes and joints composed anew, the band that the first engine lacks."""
