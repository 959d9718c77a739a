"""Noise to latents and masks to tokens: schedules, guidance, samplers, for any model."""
