"""Scenes with known truth: motion, people, cameras and pictures of them."""
