"""The `signals` captioner: sentences from kinematics and task text, no weights; what every other one falls back to."""
