import { MODULES_PREFIX, moduleKey, modulePartKey } from "../cluster/keys.js";
import { SluiceError } from "../errors.js";
import { digestOf } from "../plugins/builder.js";
import type { EtcdStore } from "./etcd-store.js";
import type { Condition } from "./transaction.js";

/** Bytes of a part: etcd takes 1.5 MiB a request, and base64 has four characters for three bytes. */
const PART_BYTES = 768 << 10;

/**
 * Plugins' modules in Sluice's etcd, by digest. They are there and not on a server of the reflector's, so that nodes get them by the way that
 * they have already, with its TLS, and also while no reflector runs. Modules are 20 to 400 KB, some MiB at most.
 * All methods throw EtcdStore's errors.
 */
export class ModuleStore {
  constructor(private readonly store: EtcdStore) {}

  async has(digest: string): Promise<boolean> {
    return (await this.store.get(moduleKey(digest))) !== undefined;
  }

  /** Who reads meanwhile finds all of it or nothing. @returns false when a condition does not hold */
  async put(wasm: Uint8Array, conditions: readonly Condition[] = []): Promise<boolean> {
    const digest = digestOf(wasm);
    const parts = Math.max(1, Math.ceil(wasm.length / PART_BYTES));
    for (let part = 0; part < parts; part++) {
      const bytes = wasm.subarray(part * PART_BYTES, (part + 1) * PART_BYTES);
      const write = { put: modulePartKey(digest, part), value: Buffer.from(bytes).toString("base64") };
      // With the last one: most modules are one transaction.
      const head = part === parts - 1 ? [{ put: moduleKey(digest), value: String(parts) }] : [];
      if (!(await this.store.transaction(conditions, [write, ...head])).done) return false;
    }
    return true;
  }

  /** @throws SluiceError "unknown-module", "digest-mismatch" */
  async get(digest: string): Promise<Uint8Array> {
    const values: string[] = [];
    for await (const { entries } of this.store.list(moduleKey(digest)))
      values.push(...entries.map(({ value }) => value));
    const [head, ...parts] = values;
    if (head === undefined || parts.length !== Number(head)) {
      throw SluiceError.of("unknown-module", moduleKey(digest), "etcd has no such module, or not all of it");
    }
    const wasm = Buffer.concat(parts.map((part) => Buffer.from(part, "base64")));
    if (digestOf(wasm) === digest) return wasm;
    throw SluiceError.of("digest-mismatch", moduleKey(digest), "what etcd has there is another module; it is not used");
  }

  /** Deletes all modules but these. @returns false when a condition does not hold */
  async sweep(kept: ReadonlySet<string>, conditions: readonly Condition[] = []): Promise<boolean> {
    for await (const { entries } of this.store.list(MODULES_PREFIX)) {
      const gone = entries.filter(({ key }) => !kept.has(key.slice(MODULES_PREFIX.length).split("/")[0] ?? ""));
      for (const { key } of gone) if (!(await this.store.transaction(conditions, [{ delete: key }])).done) return false;
    }
    return true;
  }
}
