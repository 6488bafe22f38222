"""The simulated arm that demonstrations are recorded on and policies are tried on (Meta-World 3.1.1, MuJoCo 3.3.0).

The recorder and closed loops share these pages, so that a policy meets the physics, pictures and states it has learned
from. The simulator is the extra `sample`; it is imported where it is used.
"""
