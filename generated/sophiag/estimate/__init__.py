# Generated from specs/sophia_g.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of SophiaG, `estimate`."""
