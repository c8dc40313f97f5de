"""Models are tuned on documents that no board scores, and what of the gain is luck is said.

It stands above the engine, which plays its trials as it plays any other cells.
"""
