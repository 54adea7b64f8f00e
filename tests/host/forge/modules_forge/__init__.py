"""What Forge adds beside `modules`."""
