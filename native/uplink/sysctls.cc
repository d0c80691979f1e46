#include "sysctls.h"

#include <dirent.h>

#include <fstream>
#include <memory>
#include <vector>

#include "fault.h"

namespace sluice::uplink {

namespace {

const std::string kRoot = "/proc/sys/net/";
constexpr const char* kFolders[] = {"ipv4/conf/*", "ipv6/conf/*", "ipv4/neigh/*", "ipv6/neigh/*"};

std::string path_of(const std::string& pattern, const std::string& device) {
  std::string path = kRoot + pattern;
  return path.replace(path.find('*'), 1, device);
}

std::vector<std::string> files_in(const std::string& folder) {
  std::vector<std::string> names;
  const std::unique_ptr<DIR, int (*)(DIR*)> open(opendir(folder.c_str()), closedir);
  if (!open) return names;
  while (const dirent* entry = readdir(open.get())) {
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  return names;
}

bool read_line(const std::string& path, std::string* line) {
  std::ifstream file(path);
  return file && std::getline(file, *line);
}

}  // namespace

std::map<std::string, std::string> read_sysctls(const std::string& device) {
  std::map<std::string, std::string> sysctls;
  for (const std::string folder : kFolders) {
    for (const std::string& name : files_in(path_of(folder, device))) {
      if (name == "mtu") continue;  // the link's
      const std::string pattern = folder + "/" + name;
      std::string value;
      if (read_line(path_of(pattern, device), &value)) sysctls[pattern] = value;
    }
  }
  return sysctls;
}

void write_sysctls(const std::string& device, const std::map<std::string, std::string>& sysctls) {
  for (const auto& [pattern, value] : sysctls) {
    const std::string path = path_of(pattern, device);
    std::string present;
    if (!read_line(path, &present) || present == value) continue;
    std::ofstream(path) << value << "\n";
    fault_point();
  }
}

}  // namespace sluice::uplink
