"""The common parts of AUTOMATIC1111's WebUI and its forks. Each of them has a folder of its own for the rest."""
