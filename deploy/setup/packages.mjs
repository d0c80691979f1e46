/** Debian packages, each with the reason why it is needed. Only what is missing gets installed. */

/** To build Sluice and to run the demo. */
export const basePackages = {
  "ca-certificates": "cargo and npm download over TLS",
  "g++": "C++ compiler; also cargo's linker",
  cmake: "native build",
  "ninja-build": "native build",
  "pkg-config": "finds DPDK and libnl",
  "libdpdk-dev": "DPDK's headers, libraries and drivers",
  "libnl-3-dev": "rtnetlink: makes and addresses pods' interfaces",
  "libnl-route-3-dev": "rtnetlink, likewise",
  "libpcap-dev": "filters of traces and captures",
  "nlohmann-json3-dev": "JSON of the desired state and of manifests",
  "libnghttp2-dev": "HTTP/2 of gRPC, linked into the CNI binary",
  "libprotobuf-dev": "likewise: Protocol Buffers",
  "protobuf-compiler": "the CNI binary's messages, of the .proto file",
  iproute2: "network namespaces",
  "iputils-ping": "demo traffic: ping",
  iperf3: "demo traffic: TCP throughput",
  curl: "demo traffic: HTTP to a service address",
  tcpdump: "shows what crosses the wire between the nodes",
  ethtool: "switches off offloads that a real wire does not have",
  socat: "UDP and fragments between programs; the way to a cluster's API server",
  procps: "sysctl in the nodes' namespaces",
};

/** To run the tests, a cluster or the benchmarks, on top of the base list. */
export const peerPackages = {
  "dpdk-dev": "dpdk-testpmd is the other end of a memif, and forwards beside Sluice",
};

/** To run the benchmarks, on top of the base list. */
export const benchPackages = {
  "openvswitch-switch-dpdk": "benchmarks: OVS-DPDK forwards beside Sluice; never run as a service",
};

/** To run the tests and the format check, on top of the base list. */
export const testPackages = {
  "libgtest-dev": "native tests",
  "clang-format": "format check of the C++ sources",
  clang: "compiles the example stage that is written in C",
  lld: "likewise: wasm-ld links it",
  "docker-registry": "SDK's tests: plugins are pushed to it; never run as a service",
  "etcd-server": "tests of the cluster's side: Sluice's etcd; never run as a service",
};

/** To build the container image, on top of the base list. */
export const imagePackages = {
  buildah: "builds the container image",
  binutils: "strips what goes into it",
};

/** To run a Kubernetes cluster on this machine, on top of the base list. */
export const clusterPackages = {
  containerd: "the nodes' container runtime; never run as a service of this machine",
  runc: "likewise: it starts the containers",
  "containernetworking-plugins": "likewise: containerd brings up each pod's loopback with one of them",
  openssl: "the cluster's certificates",
  "busybox-static": "shell and commands in the tests' pods",
};

/** To run the attacks (`npm run attack`), on top of the tests' list. */
export const attackPackages = {
  "libclang-rt-14-dev": "libFuzzer, and the sanitizers' parts for what clang compiles",
  "llvm-14": "llvm-symbolizer: a sanitizer's report names functions and lines",
};
