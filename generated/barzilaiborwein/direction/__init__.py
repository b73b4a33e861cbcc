# Generated from specs/barzilai_borwein.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of BarzilaiBorwein, `direction`."""
