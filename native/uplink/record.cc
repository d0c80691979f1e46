#include "record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "fault.h"

namespace sluice::uplink {

namespace {

using Json = nlohmann::json;

NLOHMANN_JSON_SERIALIZE_ENUM(Stage, {{Stage::Taking, "taking"}, {Stage::Taken, "taken"}, {Stage::Giving, "giving"}})

Error unusable(const std::string& path, const std::string& what) {
  return Error{"uplink-record-unusable", path, what};
}

Error failed(const std::string& path, const std::string& what) {
  return unusable(path, what + " failed: " + std::strerror(errno));
}

Json as_json(const Record& record) {
  const Settings& settings = record.settings;
  return {{"format", 1},
          {"stage", record.stage},
          {"device", record.device},
          {"netns", record.netns},
          {"owner", record.owner},
          {"temporary", record.temporary},
          {"mac", settings.mac},
          {"mtu", settings.mtu},
          {"queueLength", settings.queue_length},
          {"up", settings.up},
          {"promiscuous", settings.promiscuous},
          {"program", settings.program},
          {"sysctls", settings.sysctls},
          {"addresses", settings.addresses},
          {"routes", settings.routes},
          {"neighbours", settings.neighbours}};
}

Record from_json(const Json& json) {
  Record record;
  record.stage = json.at("stage").get<Stage>();
  json.at("device").get_to(record.device);
  json.at("netns").get_to(record.netns);
  json.at("owner").get_to(record.owner);
  json.at("temporary").get_to(record.temporary);
  Settings& settings = record.settings;
  json.at("mac").get_to(settings.mac);
  json.at("mtu").get_to(settings.mtu);
  json.at("queueLength").get_to(settings.queue_length);
  json.at("up").get_to(settings.up);
  settings.promiscuous = json.value("promiscuous", false);  // records of earlier versions have neither
  settings.program = json.value("program", 0u);
  json.at("sysctls").get_to(settings.sysctls);
  json.at("addresses").get_to(settings.addresses);
  json.at("routes").get_to(settings.routes);
  json.at("neighbours").get_to(settings.neighbours);
  return record;
}

std::string folder_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash + 1);
}

Status sync_folder(const std::string& path) {
  const int folder = open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool synced = folder >= 0 && fsync(folder) == 0;
  Status status = synced ? Status() : Status(failed(path, "writing its folder to disk"));
  if (folder >= 0) close(folder);
  return status;
}

Status write_file(const std::string& path, const std::string& text) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const bool written =
      file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && fsync(file) == 0;
  Status status = written ? Status() : Status(failed(path, "writing it"));
  if (file >= 0) close(file);
  return status;
}

}  // namespace

Result<std::optional<Record>> read_record(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    if (errno == ENOENT) return std::optional<Record>();
    return failed(path, "reading it");
  }
  const std::string text(std::istreambuf_iterator<char>(file), {});
  try {
    const Json json = Json::parse(text);
    if (json.at("format") != 1) return unusable(path, "it is of another version of Sluice");
    return std::optional<Record>(from_json(json));
  } catch (const Json::exception& error) {
    return unusable(path, std::string("it is damaged: ") + error.what());
  }
}

Status write_record(const std::string& path, const Record& record) {
  const std::string part = path + ".part";
  if (Status written = write_file(part, as_json(record).dump() + "\n"); !written) return written;
  if (rename(part.c_str(), path.c_str()) != 0) return failed(path, "putting it in place");
  fault_point();
  return sync_folder(path);
}

Status remove_record(const std::string& path) {
  if (unlink(path.c_str()) != 0 && errno != ENOENT) return failed(path, "removing it");
  fault_point();
  return sync_folder(path);
}

Result<RecordLock> RecordLock::acquire(const std::string& path) {
  const int descriptor = open((path + ".lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (descriptor < 0) return failed(path + ".lock", "opening it");
  RecordLock lock(descriptor);
  while (flock(descriptor, LOCK_EX) != 0) {
    if (errno != EINTR) return failed(path + ".lock", "locking it");
  }
  return lock;
}

RecordLock::~RecordLock() {
  if (descriptor_ >= 0) close(descriptor_);
}

}  // namespace sluice::uplink
