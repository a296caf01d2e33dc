"""Measured figures. In: a back end's name. Out: rows that are printed, each with what it is held to.

Holds: each result is checked before it is timed; a figure is the median of many runs behind a
warm-up; nothing here is imported by the rest of the package.
"""
