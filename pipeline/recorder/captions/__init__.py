"""Training data for the captioner of the sample: simulated like it, with other seeds and looks."""
