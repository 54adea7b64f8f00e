"""From a source to the place where its bytes can be fetched right now."""
