"""The CUDA back end, `cuda`: CUDA C, compiled by NVRTC and launched through CuPy."""
