"""From a call to a launch: check the arguments, choose the device, specialise, run."""
