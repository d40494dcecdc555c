"""Attacks on a real server over loopback, and on the command line: `make attack`.

Each module is one kind; `__main__` runs them long and prints figures, the tests run them short.
"""
