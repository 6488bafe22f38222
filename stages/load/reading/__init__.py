"""Reading: bytes of a release, wherever it lies, and what a sample of it holds."""
