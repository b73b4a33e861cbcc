# Generated from specs/asam.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of ASAM, `perturb`."""
