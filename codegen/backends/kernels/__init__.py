"""Fused kernels: C++, Triton, and the program of their host scalars."""
