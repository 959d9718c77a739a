"""Training of the second engine: windows, tokens, tokenizer, transformer, tagger."""
