# Generated from specs/schedule_free_adamw.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of ScheduleFreeAdamW, `train`."""
