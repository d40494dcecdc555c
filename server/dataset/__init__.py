"""Datasets for text-to-image models from rasters and pictures, as MMM-RS makes its own."""
