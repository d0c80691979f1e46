import { pino } from "pino";
import { KubeApi } from "../kube/api.js";
import { signalled } from "../signals.js";
import { Pki, type PkiOptions, type PkiResult } from "./pki.js";

export interface PkiProcessOptions extends Omit<PkiOptions, "api" | "log"> {
  readonly kubeconfig?: string;
  readonly logLevel: string;
  readonly isFollowing: boolean;
  readonly told: (results: readonly PkiResult[]) => void;
}

/** @throws SluiceError; a process that follows waits for what is away */
export async function runPki(options: PkiProcessOptions): Promise<void> {
  const log = pino({ level: options.logLevel }, pino.destination({ fd: 2, sync: true }));
  const pki = new Pki({ ...options, api: KubeApi.load(options.kubeconfig), log });
  if (!options.isFollowing) return options.told(await pki.maintain());
  const end = new AbortController();
  void signalled(log).then(() => end.abort());
  await pki.follow(end.signal, options.told);
}
