"""Actions on many runs at once: which runs are meant, what would happen, and carrying it out, durably."""
