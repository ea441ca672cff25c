"""Embeddings: a vector for each slice pair, from an encoder that never saw a label of the study."""
