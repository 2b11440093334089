"""Skeletons to initial body parameters: the paper's Sec. 3.2, with HybrIK's details."""
