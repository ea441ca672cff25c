"""The annotation session free of any GUI: what comes next, the reader's answers, training in the background, advice."""
