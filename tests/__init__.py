"""Folders of tests mirror the folders of the source; `support` and `references` hold what tests share."""
