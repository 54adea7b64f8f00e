"""The comparison in the page: facts (read once) -> markup (pure HTML); actions; what is saved."""
