"""Pairs of pictures before and after with what changed in words, from this project's folders and
from published datasets."""
