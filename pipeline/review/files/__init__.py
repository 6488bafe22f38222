"""Decisions as files: `rows` has them as they are, `spans` what they left, `take` what comes back."""
