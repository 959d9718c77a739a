"""Batches that outgrow a machine."""
