"""Time and memory of a denoising step."""
