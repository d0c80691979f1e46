import { setTimeout as sleep } from "node:timers/promises";
import type { Logger } from "pino";
import { Backoff } from "../backoff.js";
import { parseNodeSpec } from "../config/load.js";
import type { NodeSpec } from "../config/schema.js";
import type { DataplaneClient } from "../dataplane/client.js";
import { difference } from "../dataplane/difference.js";
import type { Module, StatusResponse } from "../dataplane/protocol.js";
import { specDigest } from "../dataplane/spec-digest.js";
import { type Problem, SluiceError } from "../errors.js";

export interface SyncOptions {
  readonly client: DataplaneClient;
  readonly log: Logger;
  /** All that the node should be, as of now; undefined: nothing is known yet. */
  readonly desired: () => Promise<NodeSpec | undefined>;
  /** The module of a plugin of the desired node. */
  readonly module: (digest: string) => Uint8Array;
  /**
   * Takes ports that the dataplane has refused, by their names, and leaves them out of the desired node from now on.
   * @returns false when it can't
   */
  readonly leaveOut: (port: string, problem: Problem) => boolean;
  /** Likewise of a plugin. */
  readonly leaveOutPlugin: (name: string, problem: Problem) => boolean;
  /** Whether what stages count matters soon. */
  readonly isWatchful: () => boolean;
  /** Told when what it says has changed. */
  readonly changed: (state: SyncState) => void;
  readonly compareMs?: number;
}

export interface SyncState {
  /** Undefined: nobody answers. */
  readonly status: StatusResponse | undefined;
  /** What stands in the way of the desired state; none: the dataplane has it. */
  readonly problems: readonly Problem[];
}

const CALL_MS = 60_000;
/** How often the dataplane is asked whether it is still the one, and what it counts. */
const LOOK_MS = 1000;
const WATCHFUL_LOOK_MS = 200;
/** How often what the dataplane has is compared with what was sent, whatever is thought to be known. */
const COMPARE_MS = 5 * 60_000;

/**
 * Keeps the dataplane as it should be: sends differences, as one transaction all that has changed by then, and everything when the dataplane is
 * not at the state that they begin with.
 */
export class DataplaneSync {
  private sent: { spec: NodeSpec; revision: string } | undefined;
  private state: SyncState = { status: undefined, problems: [notSent] };
  /** Who waits for a transaction that begins after they asked. */
  private waiting: { done: () => void; failed: (error: SluiceError) => void }[] = [];
  private isDirty = true;
  /** Times that the dataplane was not reached, or refused what was sent. */
  failures = 0;
  private wake = () => {};
  private readonly stopping = new AbortController();
  private compareAt = 0;
  private readonly backoff = new Backoff(100, 3000);
  private readonly running: Promise<void>[];

  constructor(private readonly options: SyncOptions) {
    this.running = [this.run(), this.look()];
  }

  /** Something about the desired node has changed. */
  touch(): void {
    this.isDirty = true;
    this.wake();
  }

  /** Resolves once the dataplane has what is desired now. @throws SluiceError "not-running", or why it was refused */
  flush(): Promise<void> {
    const flushed = new Promise<void>((done, failed) => this.waiting.push({ done, failed }));
    this.touch();
    return flushed;
  }

  /** Its last answer. */
  get status(): StatusResponse | undefined {
    return this.state.status;
  }

  async close(): Promise<void> {
    this.stopping.abort();
    this.wake();
    await Promise.all(this.running);
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      if (!this.isDirty) await this.woken(this.compareAt - Date.now());
      if (signal.aborted) break;
      this.isDirty = false;
      const waiting = this.waiting;
      this.waiting = [];
      try {
        await this.send();
        this.backoff.reset();
        this.tell({ problems: [] });
        for (const { done } of waiting) done();
      } catch (error) {
        await this.failed(error, waiting);
      }
    }
    const stopped = SluiceError.of("stopped", "", "the agent is stopping");
    for (const { failed } of this.waiting) failed(stopped);
  }

  private async failed(error: unknown, waiting: typeof this.waiting): Promise<void> {
    if (!(error instanceof SluiceError)) throw error;
    this.isDirty = true;
    const { problems } = error;
    const codes = problems.map(({ code }) => code);
    const isGone = codes.some((code) => /^(not-running|connection-lost|timed-out|stopped)$/.test(code));
    if (isGone || codes.includes("stale-base")) this.sent = undefined;
    if (codes.includes("stale-base") || (!isGone && this.leavesOut(problems))) {
      this.waiting.unshift(...waiting);
      return;
    }
    this.failures++;
    this.options.log.warn({ problems: problems.slice(0, 20) }, "the dataplane is not as desired yet");
    this.tell({ problems, ...(isGone ? { status: undefined } : {}) });
    for (const { failed } of waiting) failed(error);
    await this.backoff.wait(this.stopping.signal);
  }

  /** One bad port or plugin must not keep all else from being changed. */
  private leavesOut(problems: readonly Problem[]): boolean {
    const { leaveOut, leaveOutPlugin } = this.options;
    const left = problems.map((problem) => {
      const [, list, name] = /^\/(ports|plugins)\/([^/]+)/.exec(problem.path) ?? [];
      if (name === undefined) return false;
      return list === "ports" ? leaveOut(name, problem) : leaveOutPlugin(name, problem);
    });
    return left.includes(true);
  }

  private async send(): Promise<void> {
    const spec = await this.options.desired();
    if (spec === undefined) throw new SluiceError([notSent]);
    if (this.sent !== undefined && Date.now() >= this.compareAt && !(await this.isAsSent(this.sent))) {
      this.options.log.warn("the dataplane is not as it was made: all of the state is sent again");
      this.sent = undefined;
    }
    if (this.sent === undefined) await this.sendAll(spec);
    else await this.sendDifference(spec, this.sent);
  }

  private async isAsSent({ spec, revision }: { spec: NodeSpec; revision: string }): Promise<boolean> {
    this.compareSoon();
    try {
      const found = await this.options.client.call("digest", {}, CALL_MS);
      return found.revision === revision && found.digest === specDigest(parseNodeSpec(spec));
    } catch (error) {
      // A dataplane that is older than the agent, as while a node is upgraded.
      if (error instanceof SluiceError && error.problems[0]?.code === "wrong-version") return false;
      throw error;
    }
  }

  private compareSoon(): void {
    this.compareAt = Date.now() + (this.options.compareMs ?? COMPARE_MS);
  }

  private async sendAll(spec: NodeSpec): Promise<void> {
    const { client, log } = this.options;
    const modules = this.modulesOf(new Set(spec.plugins.map(({ digest }) => digest)));
    try {
      const { revision } = await client.call("apply", { specJson: JSON.stringify(spec), modules }, CALL_MS);
      this.sent = { spec, revision };
    } catch (error) {
      throw error instanceof SluiceError ? byName(error, spec) : error;
    }
    this.compareSoon();
    log.info({ ports: spec.ports.length, routes: spec.routes.length }, "all of the state sent");
  }

  private async sendDifference(spec: NodeSpec, sent: { spec: NodeSpec; revision: string }): Promise<void> {
    const changes = difference(sent.spec, spec);
    if (changes === undefined) return;
    const known = new Set(sent.spec.plugins.map(({ digest }) => digest));
    const added = new Set(changes.plugins.set.map(({ digest }) => digest).filter((digest) => !known.has(digest)));
    const request = { base: sent.revision, differenceJson: JSON.stringify(changes), modules: this.modulesOf(added) };
    const { revision } = await this.options.client.call("update", request, CALL_MS);
    this.sent = { spec, revision };
    this.options.log.debug(
      { ports: changes.ports.set.length, removed: changes.ports.remove.length },
      "difference sent",
    );
  }

  private modulesOf(digests: ReadonlySet<string>): Module[] {
    return [...digests].map((digest) => ({ digest, wasm: this.options.module(digest) }));
  }

  /** A dataplane that was started again, or that somebody else changed, is at another revision. */
  private async look(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      const before = this.sent?.revision;
      const status = await this.options.client.call("status", {}, CALL_MS).catch(() => undefined);
      this.tell({ status });
      const isOther = status !== undefined && status.revision !== before && before === this.sent?.revision;
      if (isOther && before !== undefined) {
        this.sent = undefined;
        this.touch();
      }
      const ms = this.options.isWatchful() ? WATCHFUL_LOOK_MS : LOOK_MS;
      await sleep(ms, undefined, { signal }).catch(() => undefined);
    }
  }

  private tell(change: Partial<SyncState>): void {
    this.state = { ...this.state, ...change };
    this.options.changed(this.state);
  }

  private woken(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.max(0, ms));
      this.wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

const notSent: Problem = { code: "not-running", path: "", message: "nothing was sent to the dataplane yet" };

/** "/ports/3" of what was sent as "/ports/NAME"; of plugins likewise. */
function byName(error: SluiceError, spec: NodeSpec): SluiceError {
  const problems = error.problems.map((problem) => ({
    ...problem,
    path: problem.path.replace(/^\/(ports|plugins)\/(\d+)/, (whole, list: "ports" | "plugins", index: string) => {
      const name = spec[list][Number(index)]?.name;
      return name === undefined ? whole : `/${list}/${name}`;
    }),
  }));
  return new SluiceError(problems, { cause: error });
}
