import { describe, expect, test } from "vitest";
import type { EndpointSliceRecord, ServiceRecord } from "../../src/cluster/records.js";
import { NatTranslation } from "../../src/translate/nat.js";
import { translateService } from "../../src/translate/services.js";
import { endpoint, packed, service, slice } from "./records.js";

const NODE = { name: "node-a", addresses: ["192.0.2.1", "2001:db8::1"] };

interface Row {
  what: string;
  service?: Partial<ServiceRecord>;
  slices: EndpointSliceRecord[];
  /** "vip:port proto [shared] [via source] [for affinity] -> backends" */
  expected: string[];
  problems?: string[];
}

const two = slice([endpoint("10.1.1.2"), endpoint("10.1.2.2", { node: "node-b" })]);
const v6 = slice([endpoint("fd00:1::2")], { name: "web-6", addressType: "IPv6" });

const rows: Row[] = [
  {
    what: "a cluster address of each family leads to the endpoints of that family",
    slices: [two, v6],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080 10.1.2.2:8080", "fd00:96::10:80 tcp -> fd00:1::2:8080"],
  },
  { what: "a headless service has no address", service: { clusterIPs: [] }, slices: [two], expected: [] },
  { what: "an external name is DNS's business", service: { type: "ExternalName" }, slices: [two], expected: [] },
  {
    what: "a service without endpoints is served, with nowhere to go",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [],
    expected: ["10.96.0.10:80 tcp ->"],
  },
  {
    what: "ports are told by name and protocol",
    service: {
      clusterIPs: ["10.96.0.10"],
      ports: [
        { name: "dns", protocol: "UDP", port: 53 },
        { name: "dns-tcp", protocol: "TCP", port: 53 },
      ],
    },
    slices: [
      slice([endpoint("10.1.1.2")], {
        ports: [
          { name: "dns", protocol: "UDP", port: 1053 },
          { name: "dns-tcp", protocol: "TCP", port: 2053 },
        ],
      }),
    ],
    expected: ["10.96.0.10:53 udp -> 10.1.1.2:1053", "10.96.0.10:53 tcp -> 10.1.1.2:2053"],
  },
  {
    what: "a slice's port without a number is the service's",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [slice([endpoint("10.1.1.2")], { ports: [{ protocol: "TCP" }] })],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:80"],
  },
  {
    what: "endpoints that are not ready get nothing",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [slice([endpoint("10.1.1.2"), endpoint("10.1.1.3", { ready: false, serving: false })])],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080"],
  },
  {
    what: "terminating endpoints serve where no other does",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [
      slice([
        endpoint("10.1.1.2", { ready: false, terminating: true }),
        endpoint("10.1.1.3", { ready: false, serving: false, terminating: true }),
      ]),
    ],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080"],
  },
  {
    what: "an endpoint of two slices counts once",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [two, slice([endpoint("10.1.1.2")], { name: "web-2" })],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080 10.1.2.2:8080"],
  },
  {
    what: "internal traffic policy Local: this node's endpoints only",
    service: { clusterIPs: ["10.96.0.10"], internalTrafficPolicy: "Local" },
    slices: [two],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080"],
  },
  {
    what: "a node port is served on the node's address of each of the service's families, its clients hidden",
    service: { type: "NodePort", clusterIPs: ["10.96.0.10"], ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }] },
    slices: [two],
    expected: [
      "10.96.0.10:80 tcp -> 10.1.1.2:8080 10.1.2.2:8080",
      "192.0.2.1:30080 tcp shared via 192.0.2.1 -> 10.1.1.2:8080 10.1.2.2:8080",
    ],
  },
  {
    what: "external traffic policy Local: this node's endpoints see the client; the cluster address is as ever",
    service: {
      type: "NodePort",
      clusterIPs: ["10.96.0.10"],
      externalTrafficPolicy: "Local",
      ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }],
    },
    slices: [two],
    expected: ["10.96.0.10:80 tcp -> 10.1.1.2:8080 10.1.2.2:8080", "192.0.2.1:30080 tcp shared -> 10.1.1.2:8080"],
  },
  {
    what: "external and load balancer addresses lead to the service too",
    service: {
      type: "LoadBalancer",
      clusterIPs: ["10.96.0.10"],
      externalIPs: ["198.51.100.1"],
      loadBalancerIPs: ["198.51.100.2"],
    },
    slices: [slice([endpoint("10.1.1.2")])],
    expected: [
      "10.96.0.10:80 tcp -> 10.1.1.2:8080",
      "198.51.100.1:80 tcp via 192.0.2.1 -> 10.1.1.2:8080",
      "198.51.100.2:80 tcp via 192.0.2.1 -> 10.1.1.2:8080",
    ],
  },
  {
    what: "session affinity holds at each of its addresses",
    service: {
      type: "NodePort",
      clusterIPs: ["10.96.0.10"],
      ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }],
      affinitySeconds: 10800,
    },
    slices: [slice([endpoint("10.1.1.2")])],
    expected: [
      "10.96.0.10:80 tcp for 10800 s -> 10.1.1.2:8080",
      "192.0.2.1:30080 tcp shared via 192.0.2.1 for 10800 s -> 10.1.1.2:8080",
    ],
  },
  {
    what: "more backends than the plugin takes: as many as it takes, and said",
    service: { clusterIPs: ["10.96.0.10"] },
    slices: [slice(Array.from({ length: 600 }, (_, i) => endpoint(`10.1.${i >> 8}.${i & 255}`)))],
    expected: [expect.stringMatching(/^10\.96\.0\.10:80 tcp ->( \S+){512}$/)],
    problems: ["too-many-backends"],
  },
];

describe("a service on a node", () => {
  test.each(rows)("$what", ({ service: change, slices, expected, problems = [] }) => {
    const translated = translateService(service(change), slices, NODE);
    expect(translated.services.map(line)).toEqual(expected);
    expect(translated.problems.map(({ code }) => code)).toEqual(problems);
  });
});

type NatService = ReturnType<typeof translateService>["services"][number];

function line({ vip, port, protocol, shared, sourceNat, affinitySeconds, backends }: NatService): string {
  return [
    `${vip}:${port} ${protocol}`,
    ...(shared ? ["shared"] : []),
    ...(sourceNat === undefined ? [] : [`via ${sourceNat}`]),
    ...(affinitySeconds === undefined ? [] : [`for ${affinitySeconds} s`]),
    "->",
    ...backends.map((backend) => `${backend.address}:${backend.port}`),
  ].join(" ");
}

describe("a node's nat configuration", () => {
  const node = { ...NODE, podCidrs: ["10.1.0.0/16", "fd00:1::/48"], masquerade: true, hostPorts: [] };
  const filled = () => {
    const translation = new NatTranslation();
    translation.setService(service({ clusterIPs: ["10.96.0.10"] }));
    translation.setSlice(packed([endpoint("10.1.1.2")]));
    return translation;
  };
  const lines = (translation: NatTranslation, change = {}) =>
    translation.translate({ ...node, ...change }).config.services.map(line);

  test("follows its services and slices", () => {
    const translation = filled();
    expect(lines(translation)).toEqual(["10.96.0.10:80 tcp -> 10.1.1.2:8080"]);
    translation.setSlice(packed([endpoint("10.1.1.3")]));
    expect(lines(translation)).toEqual(["10.96.0.10:80 tcp -> 10.1.1.3:8080"]);
    translation.removeSlice("shop", "web-1");
    expect(lines(translation)).toEqual(["10.96.0.10:80 tcp ->"]);
    translation.removeService("shop", "web");
    expect(lines(translation)).toEqual([]);
  });

  test("a slice that changes its service leaves the old one", () => {
    const translation = filled();
    translation.setSlice(packed([endpoint("10.1.1.2")], { service: "other" }));
    expect(lines(translation)).toEqual(["10.96.0.10:80 tcp ->"]);
  });

  test("follows the node's addresses", () => {
    const translation = new NatTranslation();
    translation.setService(
      service({
        type: "NodePort",
        clusterIPs: ["10.96.0.10"],
        ports: [{ protocol: "TCP", port: 80, nodePort: 30080 }],
      }),
    );
    expect(lines(translation)[1]).toBe("192.0.2.1:30080 tcp shared via 192.0.2.1 ->");
    expect(lines(translation, { addresses: ["192.0.2.9"] })[1]).toBe("192.0.2.9:30080 tcp shared via 192.0.2.9 ->");
  });

  test("an address, port and protocol that two services want is the first one's", () => {
    const translation = filled();
    translation.setService(service({ name: "zoo", clusterIPs: ["10.96.0.10"] }));
    const { config, problems } = translation.translate(node);
    expect(config.services.map(({ name }) => name)).toEqual(["shop/web"]);
    expect(problems).toMatchObject([{ code: "address-taken", path: "/services/shop/zoo" }]);
  });

  test("where there is not room for all, the first by name are served, those of the system before them, and it is said", () => {
    const translation = filled();
    translation.setService(service({ name: "dns", namespace: "kube-system", clusterIPs: ["10.96.0.9"] }));
    translation.setService(service({ name: "zoo", clusterIPs: ["10.96.0.11"] }));
    const { config, problems } = translation.translate({ ...node, most: 2 });
    expect(config.services.map(({ name }) => name)).toEqual(["kube-system/dns", "shop/web"]);
    expect(problems).toMatchObject([{ code: "too-many-services", message: expect.stringContaining("2 of 3") }]);
    expect(translation.translate({ ...node, most: 3 }).problems).toEqual([]);
  });

  test("pods' connections to the outside get the node's address of their family", () => {
    expect(filled().translate(node).config.masquerade).toEqual([
      { source: "10.1.0.0/16", except: ["10.1.0.0/16", "192.0.2.1/32"], to: "192.0.2.1" },
      { source: "fd00:1::/48", except: ["fd00:1::/48", "2001:db8::1/128"], to: "2001:db8::1" },
    ]);
    expect(filled().translate({ ...node, masquerade: false }).config.masquerade).toEqual([]);
    expect(filled().translate({ ...node, addresses: ["192.0.2.1"] }).config.masquerade).toHaveLength(1);
  });

  test("a pod that reaches itself sees the node", () => {
    expect(filled().translate(node).config.hairpin).toEqual({ ipv4: "192.0.2.1", ipv6: "2001:db8::1" });
  });

  test.each([
    {
      hostIp: "",
      expected: ["192.0.2.1:8000 tcp shared -> 10.1.1.7:80", "2001:db8::1:8000 tcp shared -> fd00:1::7:80"],
    },
    {
      hostIp: "0.0.0.0",
      expected: ["192.0.2.1:8000 tcp shared -> 10.1.1.7:80", "2001:db8::1:8000 tcp shared -> fd00:1::7:80"],
    },
    { hostIp: "192.0.2.1", expected: ["192.0.2.1:8000 tcp shared -> 10.1.1.7:80"] },
    { hostIp: "192.0.2.77", expected: [] },
  ])("a host port on address '$hostIp'", ({ hostIp, expected }) => {
    const hostPort = { pod: "shop/web", hostIp, hostPort: 8000, containerPort: 80, protocol: "tcp" as const };
    const hostPorts = [{ ...hostPort, podAddresses: ["10.1.1.7", "fd00:1::7"] }];
    expect(lines(new NatTranslation(), { hostPorts })).toEqual(expected);
  });
});
