# Generated from specs/lbfgs.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of LBFGS, `direction`."""
