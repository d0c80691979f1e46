import { DNS_SERVICE } from "./address-plan.js";
import type { KubernetesObject } from "./kubectl.js";

const NAMESPACE = "kube-system";
const labels = { "k8s-app": "kube-dns" };

const COREFILE = `.:53 {
  errors
  health
  ready
  kubernetes cluster.local in-addr.arpa ip6.arpa {
    pods insecure
    fallthrough in-addr.arpa ip6.arpa
  }
  cache 30
}
`;

/** CoreDNS as cluster DNS: it finds the API server at its service address, and pods find it at its own. */
export function coreDns(): KubernetesObject[] {
  const metadata = { name: "coredns", namespace: NAMESPACE, labels };
  const rule = (apiGroups: string[], resources: string[]) => ({ apiGroups, resources, verbs: ["list", "watch"] });
  return [
    { apiVersion: "v1", kind: "ServiceAccount", metadata },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRole",
      metadata: { name: "system:coredns" },
      rules: [
        rule([""], ["endpoints", "services", "pods", "namespaces"]),
        rule(["discovery.k8s.io"], ["endpointslices"]),
      ],
    },
    {
      apiVersion: "rbac.authorization.k8s.io/v1",
      kind: "ClusterRoleBinding",
      metadata: { name: "system:coredns" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "system:coredns" },
      subjects: [{ kind: "ServiceAccount", name: "coredns", namespace: NAMESPACE }],
    },
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { Corefile: COREFILE } },
    {
      apiVersion: "apps/v1",
      kind: "Deployment",
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: coreDnsPod() },
      },
    },
    {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "kube-dns", namespace: NAMESPACE, labels },
      spec: {
        selector: labels,
        ipFamilyPolicy: "RequireDualStack",
        ipFamilies: ["IPv4", "IPv6"],
        clusterIP: DNS_SERVICE.v4,
        clusterIPs: [DNS_SERVICE.v4, DNS_SERVICE.v6],
        ports: [
          { name: "dns", port: 53, protocol: "UDP" },
          { name: "dns-tcp", port: 53, protocol: "TCP" },
        ],
      },
    },
  ];
}

function coreDnsPod(): object {
  return {
    serviceAccountName: "coredns",
    dnsPolicy: "Default",
    containers: [
      {
        name: "coredns",
        image: "sluice.test/coredns:1",
        imagePullPolicy: "Never",
        args: ["-conf", "/etc/coredns/Corefile"],
        volumeMounts: [{ name: "config", mountPath: "/etc/coredns" }],
        readinessProbe: { httpGet: { path: "/ready", port: 8181 }, periodSeconds: 1 },
        livenessProbe: { httpGet: { path: "/health", port: 8080 }, initialDelaySeconds: 60 },
      },
    ],
    volumes: [{ name: "config", configMap: { name: "coredns" } }],
  };
}
