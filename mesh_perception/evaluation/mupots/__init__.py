"""MuPoTS-3D (Mehta et al. 2018): up to four people indoors and outdoors, by 3DPCK over 20 sequences."""
