"""3DPW (von Marcard et al. 2018): people outdoors before a moving camera, under the protocols that the field uses."""
