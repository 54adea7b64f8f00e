"""Proofs that a VAE which cannot be used changes nothing, by whatever way it comes: over HTTP, so that they run against
the stand-in WebUI here and against a real one from tests/live."""
