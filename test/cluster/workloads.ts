import type { KubernetesObject } from "./kubectl.js";

export const HTTP_PORT = 8080;
export const UDP_PORT = 8081;

export interface PodPlan {
  name: string;
  /** The node that it has to run on. */
  node: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  namespace?: string;
  hostNetwork?: boolean;
}

/** A pod whose server says who called it and who it is, over HTTP and UDP; kubelet asks it whether it is ready. */
export function serverPod({
  name,
  node,
  labels = {},
  annotations = {},
  namespace = "default",
  ...plan
}: PodPlan): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace, labels: { app: name, ...labels }, annotations },
    spec: {
      nodeName: node,
      hostNetwork: plan.hostNetwork ?? false,
      terminationGracePeriodSeconds: 0,
      containers: [
        {
          name: "server",
          image: "sluice.test/tools:1",
          imagePullPolicy: "Never",
          args: ["netexec", `--http-port=${HTTP_PORT}`, `--udp-port=${UDP_PORT}`],
          ports: [
            { name: "http", containerPort: HTTP_PORT },
            { name: "udp", containerPort: UDP_PORT, protocol: "UDP" },
          ],
          readinessProbe: { httpGet: { path: "/healthz", port: HTTP_PORT }, periodSeconds: 1 },
        },
      ],
    },
  };
}

/** Pods that do nothing, on one node. */
export function pauseDeployment(name: string, node: string, replicas: number): KubernetesObject {
  const labels = { app: name };
  return {
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name, namespace: "default" },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { ...PAUSE, nodeSelector: { "kubernetes.io/hostname": node } } },
    },
  };
}

/** A pod that does nothing. */
export function pausePod({ name, node, labels = {} }: PodPlan): KubernetesObject {
  const metadata = { name, namespace: "default", labels };
  return { apiVersion: "v1", kind: "Pod", metadata, spec: { ...PAUSE, nodeName: node } };
}

const PAUSE = {
  terminationGracePeriodSeconds: 0,
  containers: [{ name: "pause", image: "sluice.test/pause:1", imagePullPolicy: "Never" }],
};

export interface ServicePlan {
  name: string;
  selector: Record<string, string>;
  type?: "ClusterIP" | "NodePort";
}

/** A service of both families, for HTTP at port 80 and UDP at port 81. */
export function service({ name, selector, type = "ClusterIP" }: ServicePlan): KubernetesObject {
  return {
    apiVersion: "v1",
    kind: "Service",
    metadata: { name, namespace: "default" },
    spec: {
      type,
      selector,
      ipFamilyPolicy: "RequireDualStack",
      ports: [
        { name: "http", port: 80, targetPort: "http", protocol: "TCP" },
        { name: "udp", port: 81, targetPort: "udp", protocol: "UDP" },
      ],
    },
  };
}
