"""Networks and their weights. Modules here import numpy, torch and transformers alone, so that they run wherever those
are (`make gpu-check`); what runs without torch loads what it needs when it is made."""
