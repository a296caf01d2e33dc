import numpy as np
from opencl_devices import each_device, run


@each_device
def test_doubling(device):
    values = np.arange(8, dtype=np.float32)
    run(device, "__kernel void k(__global float* a) { a[get_global_id(0)] *= 2; }", [values])
    assert values[7] == 14
