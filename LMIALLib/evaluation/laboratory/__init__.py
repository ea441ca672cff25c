"""The laboratory: strategies compared on cases whose truth is known, as if a reader had answered (`lmial simulate`)."""
