"""Tables of tensors of true networks, and the files that are made of them: checkpoints, text encoders, look-alikes."""
