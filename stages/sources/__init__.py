"""Sources: log formats behind one protocol (`protocol.py`), one package or module an adapter. Nothing outside an
adapter's own place knows its types."""
