"""The paper's claims, tested: ``python benchmarks/claims --help``; see README.md."""
