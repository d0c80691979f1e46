import { root } from "../support/dataplane.js";
import { type Output, run } from "../support/process.js";
import { HELM } from "./programs.js";

export const CHART = `${root}/deploy/chart`;

/** Helm takes a cluster's for its own where there is none to ask: here the oldest that the chart takes. */
const KUBERNETES_VERSION = "1.29.0";

/** What `helm template` makes of the chart, without a cluster. */
export function template(...flags: string[]): Promise<Output> {
  const made = [HELM, "template", "sluice", CHART, "--namespace=kube-system", `--kube-version=${KUBERNETES_VERSION}`];
  return run([...made, ...flags], { timeoutMs: 60_000 });
}
