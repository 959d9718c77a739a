"""What the sounds of the second engine are worth: beds, holes, tags, bandwidth, precision, speed."""
