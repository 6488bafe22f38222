"""Recorder of the bundled sample dataset: simulated teleoperation, two LeRobot v3.0 sources."""
