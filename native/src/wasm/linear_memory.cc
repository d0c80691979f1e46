#include "wasm/linear_memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "generated/abi.h"

namespace sluice {

namespace {

constexpr size_t kMemoryBytes = size_t{abi::kMemoryPages} * 65536;
thread_local LinearMemory* t_created = nullptr;

/// Address space of `size` bytes that begins at a multiple of 4 GiB and `place`; null when there is none. Nothing of it
/// is accessible.
uint8_t* reserve(size_t size, uint32_t place) {
  constexpr uint64_t kGrain = uint64_t{1} << 32;
  void* const found = mmap(nullptr, size + kGrain, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) return nullptr;
  auto* const start = static_cast<uint8_t*>(found);
  const size_t before = (place - reinterpret_cast<uintptr_t>(start)) & (kGrain - 1);
  if (before > 0) munmap(start, before);
  munmap(start + before + size, kGrain - before);
  return start + before;
}

uint8_t* get_memory(void* env, size_t* size, size_t* capacity) {
  *size = *capacity = kMemoryBytes;
  return static_cast<LinearMemory*>(env)->at(0);
}

wasmtime_error_t* grow_memory(void*, size_t size) {
  return size == kMemoryBytes ? nullptr : wasmtime_error_new("a stage's memory has a fixed size");
}

void free_memory(void* env) {
  delete static_cast<LinearMemory*>(env);
}

}  // namespace

SharedRegion::~SharedRegion() {
  if (data_ != nullptr) munmap(data_, size_);
  if (fd_ >= 0) close(fd_);
}

SharedRegion& SharedRegion::operator=(SharedRegion&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

Result<SharedRegion> SharedRegion::create(const char* name, size_t size, uint32_t place, bool populate) {
  SharedRegion region;
  region.fd_ = memfd_create(name, MFD_CLOEXEC);
  if (region.fd_ >= 0 && ftruncate(region.fd_, static_cast<off_t>(size)) == 0) {
    const int flags = MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0);
    region.data_ = reserve(size, place);
    region.size_ = size;
    if (region.data_ != nullptr &&
        mmap(region.data_, size, PROT_READ | PROT_WRITE, flags, region.fd_, 0) != MAP_FAILED) {
      return region;
    }
  }
  return Error{"out-of-memory", "",
               std::string(name) + ": " + std::to_string(size) + " bytes of shared memory: " + std::strerror(errno)};
}

void SharedRegion::clear() {
  // Without MADV_REMOVE (a kernel without it in tmpfs) the pages are cleared by hand.
  if (madvise(data_, size_, MADV_REMOVE) != 0) std::memset(data_, 0, size_);
}

LinearMemory::~LinearMemory() {
  munmap(base_, mapped_);
}

bool LinearMemory::map_private(uint32_t offset, size_t size) {
  return mmap(base_ + offset, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

bool LinearMemory::map_shared(uint32_t offset, const SharedRegion& region, bool writable, bool populate) {
  const int rights = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  const int flags = MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0);
  return mmap(base_ + offset, region.size(), rights, flags, region.fd(), 0) != MAP_FAILED;
}

wasmtime_error_t* LinearMemory::create(void*, const wasm_memorytype_t*, size_t minimum, size_t maximum, size_t reserved,
                                       size_t guard, wasmtime_linear_memory_t* out) {
  if (minimum != kMemoryBytes || maximum != kMemoryBytes) return wasmtime_error_new("memory of a wrong size");
  const size_t mapped = reserved + guard;
  if (mapped < kMemoryBytes) return wasmtime_error_new("address space of a wrong size");
  uint8_t* const base = reserve(mapped, 0);
  if (base == nullptr) return wasmtime_error_new("out of address space");
  std::unique_ptr<LinearMemory> memory(new LinearMemory(base, mapped));
  if (!memory->map_private(abi::kPrivateBase, abi::kPrivateSize)) return wasmtime_error_new("out of memory");
  t_created = memory.get();
  *out = {memory.release(), get_memory, grow_memory, free_memory};
  return nullptr;
}

LinearMemory* LinearMemory::take_created() {
  return std::exchange(t_created, nullptr);
}

}  // namespace sluice
