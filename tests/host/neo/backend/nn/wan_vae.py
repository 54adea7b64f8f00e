"""Neo's module of Wan's VAE, by which its support is recognised; the stand-in has no checkpoint for that VAE."""
