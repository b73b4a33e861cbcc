# Generated from specs/sophia_h.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of SophiaH, `estimate`."""
