"""Sampling images: noise and labels addressed by the image's index, and the stages that use them."""
