#pragma once

#include <cstddef>
#include <cstdint>

namespace sluice {

/// Anonymous memory in whole huge pages, where that is worth it: the kernel then places it so that it can use them.
size_t round_to_huge_pages(size_t size);

/// Makes every page present, in huge ones where the kernel has them, so that no packet thread faults later.
void make_present(void* memory, size_t size);

/// Anonymous zero pages, all present: freed with itself.
class PresentPages {
 public:
  PresentPages() = default;
  PresentPages(const PresentPages&) = delete;
  PresentPages& operator=(const PresentPages&) = delete;
  ~PresentPages();

  /// Once. False, with errno set, when there is not that much memory.
  bool map(size_t size);
  uint8_t* data() const { return static_cast<uint8_t*>(memory_); }

 private:
  void* memory_ = nullptr;
  size_t size_ = 0;
};

}  // namespace sluice
