"""What sounds are worth: measures that return reports, and neither parse arguments nor print."""
