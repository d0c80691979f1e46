import { HTTP_PORT, UDP_PORT } from "./server.js";

// What a connectivity test makes in its namespace.

/** Of the namespaces that tests make, so that those that a killed one left are found. */
export const TEST_LABEL = "sluice.dev/connectivity-test";
export const SERVICE = "echo";
export const SERVICE_HTTP = 80;
export const SERVICE_UDP = 81;

/** Pods by what they are in the test: near and stranger are on the client's node, far on another one. */
export const ROLES = ["client", "stranger", "near", "far"] as const;
export type Role = (typeof ROLES)[number];
/** Those that the service is of. */
const SERVERS: readonly Role[] = ["near", "far"];

export interface TestPlan {
  readonly image: string;
  /** Of the client, and another one where there is one. */
  readonly nodes: readonly [string, string?];
}

/** The name is the API server's to choose. */
export function namespaceObject(): object {
  return {
    apiVersion: "v1",
    kind: "Namespace",
    metadata: {
      generateName: "sluice-connectivity-",
      labels: { [TEST_LABEL]: "true", "pod-security.kubernetes.io/enforce": "restricted" },
    },
  };
}

/** Those roles that there are nodes for. */
export function rolesOf({ nodes: [, other] }: TestPlan): Role[] {
  return ROLES.filter((role) => role !== "far" || other !== undefined);
}

export function podObject(role: Role, { image, nodes: [node, other = node] }: TestPlan): object {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name: role, labels: { role, server: String(SERVERS.includes(role)) } },
    spec: {
      nodeName: role === "far" ? other : node,
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 1,
      tolerations: [{ operator: "Exists" }],
      securityContext: { runAsNonRoot: true, runAsUser: 65532, seccompProfile: { type: "RuntimeDefault" } },
      containers: [
        {
          name: "probe",
          image,
          imagePullPolicy: "IfNotPresent",
          args: ["connectivity", "serve", "--as", role],
          securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } },
          readinessProbe: { httpGet: { path: "/", port: HTTP_PORT }, periodSeconds: 1 },
          resources: { requests: { cpu: "10m", memory: "64Mi" } },
        },
      ],
    },
  };
}

export function serviceObject(): object {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name: SERVICE },
    spec: {
      type: "NodePort",
      selector: { server: "true" },
      ipFamilyPolicy: "PreferDualStack",
      ports: [
        { name: "http", protocol: "TCP", port: SERVICE_HTTP, targetPort: HTTP_PORT },
        { name: "udp", protocol: "UDP", port: SERVICE_UDP, targetPort: UDP_PORT },
      ],
    },
  };
}

/** Servers are reached by the client alone, the far one by TCP only; the stranger opens no connections. */
export function policyObjects(): object[] {
  const policy = (name: string, spec: object) => ({
    apiVersion: "networking.k8s.io/v1",
    kind: "NetworkPolicy",
    metadata: { name },
    spec,
  });
  const client = { podSelector: { matchLabels: { role: "client" } } };
  return [
    policy("near-from-client", {
      podSelector: { matchLabels: { role: "near" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [client] }],
    }),
    policy("far-from-client", {
      podSelector: { matchLabels: { role: "far" } },
      policyTypes: ["Ingress"],
      ingress: [{ from: [client], ports: [{ protocol: "TCP", port: HTTP_PORT }] }],
    }),
    policy("stranger-to-nobody", {
      podSelector: { matchLabels: { role: "stranger" } },
      policyTypes: ["Egress"],
      egress: [],
    }),
  ];
}
