"""nnU-Net v2 on the pairs of a study: data set, plan, training in a process of its own, folds as an ensemble."""
