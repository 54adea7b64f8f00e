"""The clients that `bench.transfer` compares: each module is run as a process of its own and does one download."""
