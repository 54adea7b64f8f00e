"""The proofs of tests/guards against a stand-in with reForge's rules (tests/host/reforge)."""
