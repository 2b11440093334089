"""Training: the paper's losses and recipe (Sec. 3.4), and the heads of the embedded set."""
