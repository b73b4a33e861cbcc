# Generated from specs/polak_ribiere.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of PolakRibiere, `direction`."""
