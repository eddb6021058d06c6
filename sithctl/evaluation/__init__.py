"""``eval``'s tasks and the paper's experiments. They drive stages, and neither print nor write."""
