/** What the service path's stages are given: a service with four backends, and the policy that lets its clients in. */
export const stageConfigs: Record<string, unknown> = {
  nat: {
    services: [
      {
        name: "web",
        vip: "172.16.0.10",
        port: 80,
        protocol: "udp",
        backends: [1, 2, 3, 4].map((last) => ({ address: `10.129.0.${last}`, port: 8080 })),
      },
    ],
  },
  policy: {
    defaultAction: "deny",
    rules: [
      {
        action: "allow",
        source: ["10.0.0.0/9"],
        destination: ["10.128.0.0/9"],
        protocol: "udp",
        destinationPorts: [80, 8080],
      },
    ],
  },
};
