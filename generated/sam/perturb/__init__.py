# Generated from specs/sam.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of SAM, `perturb`."""
