"""The reference trainer: WALL-WM's model in miniature, trained from shards alone (arXiv 2606.01955, sections 3 and 5).

Needs torch, numpy and the loader; texts need the sentence encoder and closed loops the simulator (extras `train`,
`sample`). Nothing here imports Ray or the pipeline.
"""
