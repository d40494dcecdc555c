"""Latent diffusion with pretrained networks: text, latents, schedules, denoisers, memory. Arrays
and tensors only."""
