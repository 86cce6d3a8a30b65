"""What a run was, from its record alone: rebuilt at any event, verified, taken elsewhere."""
