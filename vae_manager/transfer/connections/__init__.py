"""The bringing of what is missing, over as many connections as pay."""
