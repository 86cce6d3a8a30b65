"""What is kept for how long, and the deletion of the rest: in small batches, resumable at any point."""
