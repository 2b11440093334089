"""Skeletons to initial body parameters: the paper's Sec. 3.2, with HybrIK's details."""

from mesh_perception.inverse_kinematics.initial import initial_parameters

__all__ = ['initial_parameters']
