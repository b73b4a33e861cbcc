"""Algorithms written a second time, by hand, from their papers and their authors' code: never from the specs."""
