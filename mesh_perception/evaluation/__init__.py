"""What the figures in papers mean, and benchmarks that compute them."""
