"""Editors: arrays in, arrays out. One file each; base.py holds the interface."""
