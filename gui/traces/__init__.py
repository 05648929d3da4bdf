"""Traces of many channels: filtered for the eye, cut into columns of pixels, drawn once each.

`envelope` filters and finds the smallest and largest value within each column; `raster`
draws columns into an image that is a ring; `canvas` shows the image, scrolled, with
labels, markers and decisions on it. What is on screen is drawn anew only when a setting
changes: a frame costs the new columns and the copy of an image, for any time span.
"""
