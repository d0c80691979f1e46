import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { Reflector } from "./reflector.js";

/** Figures of a reflector, read when they are asked for. */
export function metricsOf(reflector: Reflector): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `sluice_reflector_${name}`,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  gauge("active", "1 while this one holds the Lease and writes", () => (reflector.session === undefined ? 0 : 1));
  gauge("synced", "1 while etcd is equal to the API, but for what changed just now", () =>
    reflector.session?.synced ? 1 : 0,
  );
  gauge("records", "records mirrored in etcd", () => reflector.session?.writer?.size ?? 0);
  gauge("pending_writes", "records that wait to be written to etcd", () => reflector.session?.writer?.pending ?? 0);
  gauge("nodes", "nodes that have an id", () => reflector.session?.nodesWithId ?? 0);
  new Gauge({
    name: "sluice_reflector_blocks",
    help: "blocks that nodes have of each IPPool",
    labelNames: ["pool"],
    registers,
    collect() {
      this.reset();
      for (const [pool, count] of reflector.session?.blocks() ?? []) this.set({ pool }, count);
    },
  });
  new Counter({
    name: "sluice_reflector_writes_total",
    help: "records written to or deleted from etcd",
    registers,
    collect() {
      this.reset();
      this.inc(reflector.writes);
    },
  });
  new Counter({
    name: "sluice_reflector_malformed_objects_total",
    help: "times that an object of the API could not be used",
    labelNames: ["kind"],
    registers,
    collect() {
      this.reset();
      for (const [kind, count] of reflector.malformed) this.inc({ kind }, count);
    },
  });
  return registry;
}
