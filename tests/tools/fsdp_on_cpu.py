"""Run a script with FSDP on CPUs, which accelerate itself offers on GPUs only: `fsdp_on_cpu.py train.py --flag ...`."""

import runpy
import sys

from accelerate.state import DistributedType, PartialState

initialize = PartialState.__init__


def initialize_as_if_on_gpus(self, *args, **kwargs):
    initialize(self, *args, **kwargs)
    if self.distributed_type == DistributedType.MULTI_CPU:
        self.distributed_type = DistributedType.MULTI_GPU


PartialState.__init__ = initialize_as_if_on_gpus
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
