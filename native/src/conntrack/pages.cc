#include "conntrack/pages.h"

#include <sys/mman.h>

namespace sluice {

size_t round_to_huge_pages(size_t size) {
  constexpr size_t kHugePage = size_t{2} << 20;
  return size < kHugePage ? size : (size + kHugePage - 1) / kHugePage * kHugePage;
}

void make_present(void* memory, size_t size) {
  madvise(memory, size, MADV_HUGEPAGE);  // advice: without it the pages are small
  auto* bytes = static_cast<volatile uint8_t*>(memory);
  for (size_t at = 0; at < size; at += 4096) bytes[at] = bytes[at];
}

PresentPages::~PresentPages() {
  if (memory_ != nullptr) munmap(memory_, size_);
}

bool PresentPages::map(size_t size) {
  const size_t whole = round_to_huge_pages(size);
  void* memory = mmap(nullptr, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  memory_ = memory;
  size_ = whole;
  make_present(memory_, size_);
  return true;
}

}  // namespace sluice
