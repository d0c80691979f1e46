import type { PluginReport } from "../cluster/records.js";
import type { NodePlugin } from "../cluster/versions.js";
import type { StageFigures } from "../dataplane/protocol.js";
import { failuresOf } from "../dataplane/stage-failures.js";
import { failureOf, failureText } from "../dataplane/traps.js";
import type { Problem } from "../errors.js";

export type StageFailure = NonNullable<PluginReport["failure"]>;

/** A version that failed, and why. */
export interface Refusal {
  readonly id: string;
  readonly problem: Problem;
}

/** A version that runs, and has not done so for long enough. */
interface Trial {
  readonly plugin: NodePlugin;
  /** Unix time, ms: earlier traps are not its own. */
  readonly since: number;
  /** What its stages had counted when they were first looked at, by name. */
  readonly counted: Map<string, number>;
}

/** A failure that goes on is told anew this often. */
const SAME_FAILURE_MS = 60_000;

/** Which versions of Plugins do well on the node: those that traps and budgets speak against are refused, others become good. */
export class PluginTrials {
  readonly #trials = new Map<string, Trial>();
  /** What a Plugin goes back to. */
  readonly #good = new Map<string, NodePlugin>();
  readonly #refused = new Map<string, Refusal>();
  readonly #failures = new Map<string, StageFailure>();
  readonly #changed: () => void;

  /** @param changed told when what is good or refused has changed */
  constructor(changed: () => void) {
    this.#changed = changed;
  }

  get isEmpty(): boolean {
    return this.#trials.size === 0;
  }

  /** All of it that outlives the process. */
  get verdicts(): { good: NodePlugin[]; refused: (Refusal & { name: string })[] } {
    return {
      good: [...this.#good.values()],
      refused: [...this.#refused].map(([name, refusal]) => ({ name, ...refusal })),
    };
  }

  restore({ good, refused }: PluginTrials["verdicts"]): void {
    for (const plugin of good) this.#good.set(plugin.name, plugin);
    for (const { name, ...refusal } of refused) this.#refused.set(name, refusal);
  }

  good(name: string): NodePlugin | undefined {
    return this.#good.get(name);
  }

  refused(name: string): Refusal | undefined {
    return this.#refused.get(name);
  }

  failure(name: string): StageFailure | undefined {
    return this.#failures.get(name);
  }

  isGood({ name, version }: NodePlugin): boolean {
    return this.#good.get(name)?.version.id === version.id;
  }

  /** Another version is wanted than the one that was refused. */
  forgive(name: string): void {
    if (this.#refused.delete(name)) this.#changed();
  }

  forget(name: string): void {
    this.#trials.delete(name);
    this.#failures.delete(name);
    const had = this.#good.delete(name);
    if (this.#refused.delete(name) || had) this.#changed();
  }

  refuse({ name, version }: NodePlugin, problem: Problem): void {
    this.#trials.delete(name);
    this.#refused.set(name, { id: version.id, problem });
    this.#changed();
  }

  /** The dataplane runs these. @param since when it was told so, Unix time in ms */
  programmed(plugins: readonly NodePlugin[], since: number): void {
    const running = new Map(plugins.map((plugin) => [plugin.name, plugin]));
    for (const [name, { plugin }] of this.#trials) {
      if (running.get(name)?.version.id !== plugin.version.id) this.#trials.delete(name);
    }
    for (const plugin of plugins) {
      if (this.isGood(plugin) || this.#trials.has(plugin.name)) continue;
      this.#trials.set(plugin.name, { plugin, since, counted: new Map() });
    }
  }

  /**
   * Looks at what stages have counted.
   * @param ownerOf the Plugin that a stage is of. @param now Unix time, ms. @returns those that failed on trial: they are to be refused
   */
  look(
    stages: readonly StageFigures[],
    ownerOf: (stage: string) => string | undefined,
    now: number,
  ): { plugin: NodePlugin; problem: Problem }[] {
    const failed = new Map<string, { plugin: NodePlugin; problem: Problem }>();
    for (const stage of stages) {
      const name = ownerOf(stage.name);
      if (name === undefined) continue;
      const trial = this.#trials.get(name);
      const plugin = trial?.plugin ?? this.#good.get(name);
      if (plugin === undefined || plugin.version.digest !== stage.digest) continue;
      const failure = seenFailure(stage, trial, now);
      if (failure === undefined) continue;
      this.#tell(name, failure, now);
      if (trial !== undefined && !failed.has(name)) failed.set(name, { plugin, problem: problemOf(name, failure) });
    }
    for (const [name, { plugin, since }] of [...this.#trials]) {
      if (!failed.has(name) && now - since >= plugin.version.rollout.settleSeconds * 1000) this.#settle(plugin);
    }
    return [...failed.values()];
  }

  #settle(plugin: NodePlugin): void {
    this.#trials.delete(plugin.name);
    this.#good.set(plugin.name, plugin);
    this.#changed();
  }

  /** One that goes on at the same place is not told again for a while: a report is a write to etcd. */
  #tell(name: string, failure: StageFailure, now: number): void {
    const last = this.#failures.get(name);
    const isSame = last !== undefined && last.message === failure.message && last.source === failure.source;
    if (isSame && (last.time === failure.time || now - Date.parse(last.time) < SAME_FAILURE_MS)) return;
    this.#failures.set(name, failure);
    this.#changed();
  }
}

/** Of a stage on trial what it has counted since, or trapped; of another one its last trap. */
function seenFailure(stage: StageFigures, trial: Trial | undefined, now: number): StageFailure | undefined {
  const { lastTrap, digest, lastFailure } = stage;
  const isTrap = lastTrap !== null && lastTrap.digest === digest && lastTrap.at >= (trial?.since ?? 0);
  const counted = failuresOf(stage);
  const base = trial?.counted.get(stage.name) ?? counted;
  trial?.counted.set(stage.name, Math.min(base, counted)); // fewer: it was started anew
  if (isTrap) return { ...failureOf(lastTrap), time: new Date(lastTrap.at).toISOString() };
  return trial !== undefined && counted > base
    ? { message: lastFailure, time: new Date(now).toISOString() }
    : undefined;
}

function problemOf(name: string, failure: StageFailure): Problem {
  return { code: "failed-on-trial", path: `/plugins/${name}`, message: failureText(failure) };
}
