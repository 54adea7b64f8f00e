"""The stand-in of Forge with the real extension."""
