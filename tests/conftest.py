"""What must be settled before any test imports torch or triton."""

import os
import shutil

# Triton decides at import whether kernels run in its interpreter. Where there is no GPU, they must.
if shutil.which("nvidia-smi") is None and shutil.which("rocm-smi") is None:
    os.environ.setdefault("TRITON_INTERPRET", "1")
