"""What the paper's networks are trained on: crops of people with the truth about them."""

from mesh_perception.training.datasets.samples import Samples

__all__ = ['Samples']
