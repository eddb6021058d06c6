"""``sithctl eval TASK``: a module a task."""
