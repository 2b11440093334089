"""Cameras, perspective-correct crops, rotations and absolute positions: plain functions over torch tensors."""
