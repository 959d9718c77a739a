"""A finished take and a library of recordings -> the same take, its hits played by recordings."""
