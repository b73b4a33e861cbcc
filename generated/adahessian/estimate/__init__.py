# Generated from specs/adahessian.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of AdaHessian, `estimate`."""
