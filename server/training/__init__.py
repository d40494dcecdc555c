"""Learning models from images: one file a method."""
