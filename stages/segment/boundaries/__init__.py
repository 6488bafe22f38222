"""From candidates to boundaries: the grammar of subtasks, the choice of each level, what was learned from labels."""
