"""Failures that are alike: one group for each cause, with who looks after it and what is known of it."""
