#include "commands.h"

#include "agent.h"
#include "netns.h"
#include "result.h"

namespace sluice::cni {

namespace {

void set_attachment(v1::Attachment* attachment, const std::string& container_id, const std::string& ifname) {
  attachment->set_container_id(container_id);
  attachment->set_ifname(ifname);
}

void refuse_taken_name(const Invocation& invocation, const Configuration& configuration) {
  for (const Field& interface : Field(configuration.previous, "prevResult").at("interfaces").elements()) {
    if (interface.at("name").value() != invocation.ifname || interface.at("sandbox").value() != invocation.netns)
      continue;
    interface.at("name").refuse("another name than CNI_IFNAME");
  }
}

Json add(Agent& agent, const Invocation& invocation, const Configuration& configuration) {
  refuse_taken_name(invocation, configuration);
  v1::AddRequest request;
  set_attachment(request.mutable_attachment(), invocation.container_id, invocation.ifname);
  request.set_netns(invocation.netns);
  request.mutable_pod()->set_namespace_(invocation.pod_namespace);
  request.mutable_pod()->set_name(invocation.pod_name);
  request.mutable_pod()->set_uid(invocation.pod_uid);
  for (const PortMapping& mapping : configuration.port_mappings) {
    v1::PortMapping* added = request.add_port_mappings();
    added->set_host_port(mapping.host_port);
    added->set_container_port(mapping.container_port);
    added->set_protocol(mapping.protocol);
    added->set_host_ip(mapping.host_ip);
  }
  return add_result(configuration, invocation.netns, agent.add(request));
}

void del(Agent& agent, const Invocation& invocation) {
  v1::DelRequest request;
  set_attachment(request.mutable_attachment(), invocation.container_id, invocation.ifname);
  request.set_netns(invocation.netns);
  agent.del(request);
}

void check(Agent& agent, const Invocation& invocation, const Configuration& configuration) {
  const auto addresses = previous_addresses(configuration.previous, invocation.netns, invocation.ifname);
  v1::CheckRequest request;
  set_attachment(request.mutable_attachment(), invocation.container_id, invocation.ifname);
  request.set_netns(invocation.netns);
  for (const std::string& address : addresses) request.add_addresses(address);
  agent.check(request);
  check_interface(invocation.netns, invocation.ifname, addresses);
}

void status(Agent& agent) {
  try {
    agent.status();
  } catch (const Failure& failure) {
    if (failure.code() != code::kTryAgainLater) throw;
    throw Failure(code::kNotAvailable, failure.what(), failure.details());
  }
}

void gc(Agent& agent, const Configuration& configuration) {
  v1::GcRequest request;
  for (const Attachment& valid : configuration.valid) {
    set_attachment(request.add_valid(), valid.container_id, valid.ifname);
  }
  agent.gc(request);
}

}  // namespace

Json run_command(const Invocation& invocation, const Configuration& configuration) {
  Agent agent(configuration.socket, configuration.timeout);
  switch (invocation.command) {
    case Command::Add:
      return add(agent, invocation, configuration);
    case Command::Del:
      del(agent, invocation);
      break;
    case Command::Check:
      check(agent, invocation, configuration);
      break;
    case Command::Status:
      status(agent);
      break;
    case Command::Gc:
      gc(agent, configuration);
      break;
    case Command::Version:
      break;
  }
  return nullptr;
}

}  // namespace sluice::cni
