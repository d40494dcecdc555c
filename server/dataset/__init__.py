"""Datasets for text-to-image models from rasters and pictures, as MMM-RS makes its own."""

KINDS = ("rgb", "nir", "radar")
"""Of pictures in pairs."""
SCENES = ("fog", "snow", "night")
"""Made of clear pictures, as they stand in the prompts."""
