"""What AUTOMATIC1111's WebUI and its forks have in common. Each of them has a folder of its own for the rest."""
