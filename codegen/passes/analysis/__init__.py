"""Facts that follow from a rule: value kinds, value ranges, streams, conditions."""
