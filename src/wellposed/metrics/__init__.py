"""Image quality, one number per image."""
