"""HTTP, and which addresses may be asked."""
