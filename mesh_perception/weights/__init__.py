"""Third-party files this project runs on: what they are, how they are obtained, checked, carried and read."""
