"""Full-size proofs and measurements: `python tasks.py prove NAME`. Each writes what it gave to bench/results/."""
