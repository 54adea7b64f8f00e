"""The reader of torch's files against torch itself: each file is refused here, or has the same tensors there."""
