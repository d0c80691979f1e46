import { setTimeout as pause } from "node:timers/promises";
import { pino } from "pino";
import { afterEach, describe, expect, test, vi } from "vitest";
import { SluiceError } from "../src/errors.js";
import type { KubeApi } from "../src/kube/api.js";
import { PluginPublisher } from "../src/reflector/plugin-publisher.js";
import type { PluginVersions } from "../src/reflector/plugin-versions.js";
import type { EtcdStore } from "../src/store/etcd-store.js";
import type { ModuleStore } from "../src/store/module-store.js";
import type { Condition } from "../src/store/transaction.js";

const NAME = "guard";
/** Of the clock. */
const STARTED = 100;
/** Longer than a pass takes in which nothing is waited for. */
const PASS_MS = 5;
/** Longer than one waits that follows another one at once. */
const GATHERED_MS = 40;

const object = (generation: number) => ({
  apiVersion: "sluice.dev/v1alpha1",
  kind: "Plugin",
  metadata: { name: NAME, uid: "1", generation, creationTimestamp: "2026-01-01T00:00:00Z" },
  spec: { source: { inline: "…" } },
});

/** A publisher over an empty etcd, whose versions all end in an error, and a clock of its own. */
class World {
  /** When versions were asked for, in seconds. */
  readonly tried: number[] = [];
  readonly publisher: PluginPublisher;
  private seconds = 0;
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;

  constructor(code: string) {
    vi.spyOn(performance, "now").mockImplementation(() => (STARTED + this.seconds) * 1000);
    const make = () => {
      this.tried.push(this.seconds);
      return Promise.reject(SluiceError.of(code, "", ""));
    };
    this.publisher = new PluginPublisher({
      store: { list: async function* () {} } as unknown as EtcdStore,
      modules: { sweep: async () => true } as unknown as ModuleStore,
      versions: { make } as unknown as PluginVersions,
      api: {} as KubeApi,
      fence: {} as Condition,
      log: pino({ level: "silent" }),
      progress: () => [],
      changed: () => undefined,
    });
    this.publisher.listing();
    this.publisher.changed(object(1));
    this.publisher.listed();
    this.running = this.publisher.run(this.stopping.signal);
  }

  /** Looks every five seconds until then. */
  async until(seconds: number): Promise<void> {
    for (; this.seconds <= seconds; this.seconds += 5) {
      const { length } = this.tried;
      this.publisher.poke();
      await pause(PASS_MS);
      if (this.tried.length > length) await pause(GATHERED_MS);
    }
  }

  async close(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }
}

describe("a Plugin of which no version can be made", () => {
  let world: World | undefined;
  afterEach(async () => {
    await world?.close();
    vi.restoreAllMocks();
  });

  const ROWS: [what: string, code: string, tried: number[]][] = [
    ["a source with a mistake: not again", "plugin-build-failed", [0]],
    ["what may be otherwise soon: every 5 s", "fetch-failed", [0, 5, 10, 15, 20]],
    ["a compiler that crashes: after 10 s, then twice as long each time", "compile-crashed", [0, 10, 30, 70, 150]],
  ];
  test.each(ROWS)("is tried again as the reason asks for, of %s", async (_, code, tried) => {
    world = new World(code);
    await world.until(tried.at(-1) || 60);
    expect(world.tried).toEqual(tried);
  });

  test("is tried at most ten minutes after a crash, and at once when it has changed", async () => {
    world = new World("compile-crashed");
    await world.until(2500);
    const [last = 0, before = 0] = world.tried.toReversed();
    expect(last - before).toBe(600);
    world.publisher.changed(object(2));
    await world.until(2525);
    expect(world.tried.slice(-2)).toEqual([2505, 2515]);
    expect(world.publisher.outcome(NAME)).toMatchObject({ generation: 2, failures: 2, retryAfterMs: 20_000 });
  });
});
