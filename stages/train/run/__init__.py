"""run: the training loop, and what it leaves behind. Imports numpy, torch, the loader; safetensors where it saves."""
