// Registers a CUDA device that does nothing, so that a CPU build of torch takes tensors that say they are on cuda:0
// through its autograd engine, its optimizers and torch.accelerator. What computes is in pretend_cuda.py.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>

namespace c10::impl {
C10_REGISTER_GUARD_IMPL(CUDA, FakeGuardImpl<DeviceType::CUDA>);
}

namespace at {  // the registry wants the class in this namespace

struct PretendedHooks : CUDAHooksInterface {  // no `override`: not every version of torch has all of these
  PretendedHooks(CUDAHooksArgs) {}
  void init() const {}
  bool isBuilt() const { return true; }
  bool isAvailable() const { return true; }
  bool hasCUDA() const { return true; }
  bool hasPrimaryContext(DeviceIndex) const { return true; }
  int getNumGPUs() const { return 1; }
  DeviceIndex deviceCount() const { return 1; }
  DeviceIndex current_device() const { return 0; }
  DeviceIndex getCurrentDevice() const { return 0; }
  DeviceIndex exchangeDevice(DeviceIndex) const { return 0; }
  DeviceIndex maybeExchangeDevice(DeviceIndex) const { return 0; }
  void setCurrentDevice(DeviceIndex) const {}
};

C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", PretendedHooks);

}  // namespace at
