#include "conntrack/flow_file.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include "conntrack/pages.h"

namespace sluice {
namespace {

constexpr uint64_t kMagic = 0x73776f6c66636c73;  // "slcflows"
constexpr uint32_t kVersion = 3;

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

uint32_t record_size_for(uint32_t slot_bytes) {
  constexpr size_t kAlign = alignof(FlowRecord);
  return static_cast<uint32_t>((sizeof(FlowRecord) + slot_bytes + kAlign - 1) / kAlign * kAlign);
}

Error file_error(const std::string& path, const std::string& what) {
  return Error{"flow-file-failed", path, what + ": " + strerror(errno) + "; it needs a writable tmpfs or hugetlbfs"};
}

/// Files on hugetlbfs are made of whole huge pages.
Result<size_t> round_to_pages(int descriptor, const std::string& path, size_t size) {
  struct statfs system;
  if (fstatfs(descriptor, &system) != 0) return file_error(path, "its file system cannot be read");
  const size_t page = system.f_type == HUGETLBFS_MAGIC ? static_cast<size_t>(system.f_bsize) : 4096;
  return (size + page - 1) / page * page;
}

/// Why the file's content is of no use, or empty.
std::string unusable(const FlowFileHeader& found, const FlowFileHeader& wanted) {
  if (found.magic != wanted.magic) return "it is no flow file";
  if (found.version != wanted.version) {
    return "its layout is version " + std::to_string(found.version) + ", this is " + std::to_string(wanted.version);
  }
  if (found.record_size != wanted.record_size || found.slot_bytes != wanted.slot_bytes) {
    return "it has " + std::to_string(found.slot_bytes) + " slot bytes a flow, wanted are " +
           std::to_string(wanted.slot_bytes);
  }
  if (found.numbers != wanted.numbers) {
    return "it has room for " + std::to_string(found.numbers) + " records, wanted are " +
           std::to_string(wanted.numbers);
  }
  if (found.high_water > found.numbers) return "its high-water mark is beyond its end";
  if (strncmp(found.boot_id, wanted.boot_id, sizeof found.boot_id) != 0) return "it is from before the last boot";
  return {};
}

FlowFileHeader header_for(uint32_t numbers, uint32_t slot_bytes) {
  FlowFileHeader header{};
  header.magic = kMagic;
  header.version = kVersion;
  header.record_size = record_size_for(slot_bytes);
  header.slot_bytes = slot_bytes;
  header.numbers = numbers;
  strncpy(header.boot_id, boot_id().c_str(), sizeof header.boot_id - 1);
  return header;
}

/// What an existing file says of itself; a short one counts as empty.
FlowFileHeader read_header(int descriptor, size_t size) {
  FlowFileHeader header{};
  struct stat status;
  if (fstat(descriptor, &status) != 0 || static_cast<size_t>(status.st_size) < kFlowFileHeaderSize) return header;
  void* page = mmap(nullptr, size, PROT_READ, MAP_SHARED, descriptor, 0);
  if (page == MAP_FAILED) return header;
  memcpy(&header, page, sizeof header);
  munmap(page, size);
  return header;
}

}  // namespace

Result<FlowFile> FlowFile::open(const std::string& path, uint32_t numbers, uint32_t slot_bytes) {
  FlowFile file;
  const FlowFileHeader wanted = header_for(numbers, slot_bytes);
  file.size_ = kFlowFileHeaderSize + size_t{numbers} * wanted.record_size;
  if (path.empty()) {
    file.size_ = round_to_huge_pages(file.size_);
    file.memory_ = mmap(nullptr, file.size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (file.memory_ == MAP_FAILED) {
      file.memory_ = nullptr;
      return Error{"flow-memory-failed", "/conntrack/maxFlows",
                   std::to_string(file.size_ >> 20) + " MiB for the flow table are not to be had: " + strerror(errno)};
    }
    make_present(file.memory_, file.size_);
    file.header() = wanted;
    return file;
  }

  file.descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (file.descriptor_ < 0) return file_error(path, "it cannot be opened");
  if (flock(file.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    return Error{"flow-file-in-use", path,
                 "another process has it open; end that one, or give this node a file of its own"};
  }
  const auto rounded = round_to_pages(file.descriptor_, path, file.size_);
  if (!rounded) return rounded.error();
  file.size_ = rounded.value();

  struct stat status;
  if (fstat(file.descriptor_, &status) != 0) return file_error(path, "it cannot be read");
  if (status.st_size != 0) {
    file.reason = unusable(read_header(file.descriptor_, static_cast<size_t>(status.st_size)), wanted);
    if (file.reason.empty() && static_cast<size_t>(status.st_size) != file.size_) file.reason = "its size is wrong";
    file.kept = file.reason.empty();
    if (!file.kept && ftruncate(file.descriptor_, 0) != 0) return file_error(path, "it cannot be emptied");
  }
  if (ftruncate(file.descriptor_, static_cast<off_t>(file.size_)) != 0) return file_error(path, "it cannot grow");
  const int reserved = posix_fallocate(file.descriptor_, 0, static_cast<off_t>(file.size_));
  if (reserved != 0) {
    errno = reserved;
    return file_error(path, std::to_string(file.size_ >> 20) + " MiB cannot be reserved");
  }
  file.memory_ = mmap(nullptr, file.size_, PROT_READ | PROT_WRITE, MAP_SHARED, file.descriptor_, 0);
  if (file.memory_ == MAP_FAILED) {
    file.memory_ = nullptr;
    return file_error(path, "it cannot be mapped");
  }
  make_present(file.memory_, file.size_);
  if (!file.kept) file.header() = wanted;
  return file;
}

FlowFile::FlowFile(FlowFile&& other) noexcept
    : kept(other.kept),
      reason(std::move(other.reason)),
      memory_(std::exchange(other.memory_, nullptr)),
      size_(other.size_),
      descriptor_(std::exchange(other.descriptor_, -1)) {}

FlowFile::~FlowFile() {
  if (memory_ != nullptr) munmap(memory_, size_);
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace sluice
