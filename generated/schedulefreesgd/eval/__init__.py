# Generated from specs/schedule_free_sgd.yaml by thetac 0.1.0; do not edit.
"""The implementations of a piece of ScheduleFreeSGD, `eval`."""
