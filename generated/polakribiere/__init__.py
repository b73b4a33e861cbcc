# Generated from specs/polak_ribiere.yaml by thetac 0.1.0; do not edit.
"""PolakRibiere and its implementations."""

from thetac.runtime.contract import check_contract

check_contract(__name__, contract=1, version="0.1.0")  # before names that another runtime may lack

from .optimizer import PolakRibiere

__all__ = ["PolakRibiere"]
