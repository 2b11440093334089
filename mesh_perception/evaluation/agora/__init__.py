"""AGORA (Patel et al., CVPR 2021): its validation set measured here, and the file that its test set's server wants.

What is said of its files and its protocol is read in its published evaluation code and documents,
github.com/pixelite1201/agora_evaluation at commit 8c9dece.
"""
