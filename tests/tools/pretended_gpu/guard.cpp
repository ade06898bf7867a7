// Registers a CUDA device that does nothing, so that torch takes tensors that say they are on cuda:0 through its autograd
// engine, its optimizers and torch.accelerator. What computes is in pretend_cuda.py. A CUDA build of torch, which
// registers a device of its own, is pretended to as well: the hooks are preferred to its own, the guard comes after its own.
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>

extern "C" void register_guard() {
  c10::impl::DeviceGuardImplRegistrar(c10::DeviceType::CUDA, new c10::impl::FakeGuardImpl<c10::DeviceType::CUDA>());
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
  long versionCuDNN() const { return 0; }
  long versionRuntimeCuDNN() const { return 0; }
};

C10_REGISTER_TYPED_CLASS_WITH_PRIORITY(CUDAHooksRegistry, "CUDAHooks", c10::REGISTRY_PREFERRED, PretendedHooks);

}  // namespace at
