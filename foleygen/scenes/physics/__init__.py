"""Scenes that MuJoCo computes: rigid bodies with contacts that make the events, pictures in perspective.

``world`` writes the model, ``setups`` are what can happen in it, ``run`` steps it and hears its contacts, ``pictures``
films it, ``perform`` joins them.
"""
