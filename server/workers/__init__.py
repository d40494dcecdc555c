"""Processes of their own for all that reads rasters: confined, ended when they cost too much."""
