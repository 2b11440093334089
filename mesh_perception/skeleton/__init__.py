"""Image and regions to absolute skeletons (the paper's f^P; Sec. 3.1)."""
