import type { Namespace } from "../support/namespace.js";
import { CommandError, type Output, type RunOptions } from "../support/process.js";
import { KUBERNETES } from "./programs.js";

const TIMEOUT_MS = 120_000;

/** A Kubernetes object as it is written, and what is read of it. */
export interface KubernetesObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: Record<string, string> };
  [field: string]: unknown;
}

/** The command kubectl, as administrator of one cluster. */
export class Kubectl {
  constructor(
    private readonly namespace: Namespace,
    readonly kubeconfig: string,
  ) {}

  command(...args: string[]): string[] {
    return this.namespace.command([KUBERNETES, "kubectl", `--kubeconfig=${this.kubeconfig}`, ...args]);
  }

  /** Whatever comes of it. */
  run(...args: string[]): Promise<Output> {
    return this.#run(args, {});
  }

  /** Throws unless it succeeds. Returns what it printed. */
  must(...args: string[]): Promise<string> {
    return this.#must(args, {});
  }

  /** `kubectl <args> -o json`, parsed. */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.must(...args, "-o", "json")) as T;
  }

  async apply(...objects: KubernetesObject[]): Promise<void> {
    await this.#must(["apply", "-f", "-"], { input: list(objects) });
  }

  /** Deletes what is there of it, and waits until it is gone. */
  async delete(...objects: KubernetesObject[]): Promise<void> {
    await this.#must(["delete", "--ignore-not-found", "-f", "-"], { input: list(objects) });
  }

  /** Runs a command in a pod's container. */
  exec(pod: string, ...argv: string[]): Promise<Output> {
    return this.run("exec", pod, "--", ...argv);
  }

  /** Runs a line of a shell in which `kubectl` is this one. Throws unless it succeeds. */
  async script(line: string, folder: string): Promise<string> {
    const kubectl = [KUBERNETES, "kubectl", `--kubeconfig=${this.kubeconfig}`].map((word) => `'${word}'`).join(" ");
    const argv = ["bash", "-ec", `kubectl() { ${kubectl} "$@"; }; cd '${folder}'; ${line}`];
    const output = await this.namespace.run(argv, { timeoutMs: TIMEOUT_MS });
    if (output.status !== 0) throw new CommandError([line], output);
    return output.stdout;
  }

  #run(args: string[], options: RunOptions): Promise<Output> {
    const [name = "", ...rest] = args;
    return this.namespace.run([KUBERNETES, "kubectl", `--kubeconfig=${this.kubeconfig}`, name, ...rest], {
      timeoutMs: TIMEOUT_MS,
      ...options,
    });
  }

  async #must(args: string[], options: RunOptions): Promise<string> {
    const output = await this.#run(args, options);
    if (output.status !== 0) throw new CommandError(["kubectl", ...args], output);
    return output.stdout;
  }
}

function list(items: KubernetesObject[]): string {
  return JSON.stringify({ apiVersion: "v1", kind: "List", items });
}
