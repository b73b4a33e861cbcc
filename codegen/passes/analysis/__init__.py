"""What is known of a rule: value kinds, value ranges, streams, conditions."""
