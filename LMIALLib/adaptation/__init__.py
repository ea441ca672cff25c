"""The per-patient head: what a reader answered on some slices makes every other slice better at once. Arrays only."""
