"""The terminal: streams that write, views that show a batch, the console that decides between them."""
