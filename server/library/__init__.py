"""Exemplars that may be copied from where the layer holds none: the library that is shipped, and
the user's own."""
