"""The laboratory: query strategies compared retrospectively, where the truth of every slice is known."""
