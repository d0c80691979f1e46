#pragma once

#include <wasmtime/config.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace sluice {

/// Memory that instances share: pages behind a descriptor, mapped at different places with different rights.
/// The host's own mapping is read-write.
class SharedRegion {
 public:
  SharedRegion() = default;
  ~SharedRegion();
  SharedRegion(SharedRegion&& other) noexcept { *this = std::move(other); }
  SharedRegion& operator=(SharedRegion&& other) noexcept;

  /// `size` is a multiple of the page size; `place`: where instances have it in their memory. The host's addresses and
  /// theirs have the same lower 32 bits then: a level-1 cache that picks a line by a hash of its virtual address finds
  /// what the one wrote when the other reads it. The pages exist and are zero afterwards when `populate`.
  static Result<SharedRegion> create(const char* name, size_t size, uint32_t place, bool populate);

  uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  int fd() const { return fd_; }
  /// Gives the pages back; they read as zero afterwards, in every mapping.
  void clear();

 private:
  int fd_ = -1;
  uint8_t* data_ = nullptr;
  size_t size_ = 0;
};

/// The linear memory of one instance: 4 GiB and a guard of address space, nothing accessible but the regions that were
/// mapped into it (abi.json, "memory"). It begins at a multiple of 4 GiB, see SharedRegion::create(). Owned by the
/// instance's store, through Wasmtime.
class LinearMemory {
 public:
  ~LinearMemory();
  LinearMemory(const LinearMemory&) = delete;
  LinearMemory& operator=(const LinearMemory&) = delete;

  uint8_t* at(uint32_t offset) const { return base_ + offset; }
  /// Maps anonymous zero pages, readable and writable.
  bool map_private(uint32_t offset, size_t size);
  /// Maps a shared region whole. With `populate` its pages are entered into the page table at once.
  bool map_shared(uint32_t offset, const SharedRegion& region, bool writable, bool populate);

  /// What Wasmtime calls to make an instance's memory; it is handed out by take_created() on the same thread.
  static wasmtime_error_t* create(void* env, const wasm_memorytype_t* type, size_t minimum, size_t maximum,
                                  size_t reserved, size_t guard, wasmtime_linear_memory_t* out);
  /// The memory made last on this thread since the last call, or null.
  static LinearMemory* take_created();

 private:
  LinearMemory(uint8_t* base, size_t mapped) : base_(base), mapped_(mapped) {}

  uint8_t* base_;
  size_t mapped_;  ///< bytes of address space
};

}  // namespace sluice
