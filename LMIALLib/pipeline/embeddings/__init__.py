"""What tells slice pairs apart: a vector for each, from an encoder that never saw a label of the study."""
