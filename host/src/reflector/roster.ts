import { isDeepStrictEqual } from "node:util";
import type { SluiceError } from "../errors.js";
import type { KubeObject, ObjectMeta } from "../kube/api.js";
import { GRANTED } from "./granted.js";

/** An object of which the reflector itself makes use. */
export interface Member<T> {
  /** Without what the reflector does not look at. */
  readonly metadata: ObjectMeta;
  /** The last one that could be used, of this generation or an earlier one. */
  readonly record: T | undefined;
  /** Why the object as it is now can't be used. */
  readonly error: SluiceError | undefined;
  /** As the API has it, of kinds whose status the reflector writes. */
  readonly status: unknown;
}

/** All objects of a kind, by name, kept by a mirror. Of cluster-wide kinds with few objects. */
export class Roster<T> {
  #members = new Map<string, Member<T>>();
  #listing: Map<string, Member<T>> | undefined;
  #complete = false;
  readonly #keepStatus: boolean;
  readonly #onChange: () => void;

  /** @param onChange told when something has changed that is kept */
  constructor(keepStatus: boolean, onChange: () => void) {
    this.#keepStatus = keepStatus;
    this.#onChange = onChange;
  }

  /** Whether all objects are there: before, nothing can be said of one that is not. */
  get complete(): boolean {
    return this.#complete;
  }

  get members(): ReadonlyMap<string, Member<T>> {
    return this.#members;
  }

  listing(): void {
    this.#listing = new Map();
  }

  listed(): void {
    if (this.#listing !== undefined) this.#members = this.#listing;
    this.#listing = undefined;
    this.#complete = true;
    this.#onChange();
  }

  changed(object: KubeObject & { status?: unknown }, made: { record: T | undefined } | { error: SluiceError }): void {
    const { name } = object.metadata;
    const before = this.#members.get(name);
    const now: Member<T> = {
      metadata: keptOf(object.metadata),
      record: "record" in made ? made.record : before?.record,
      error: "error" in made ? made.error : undefined,
      status: this.#keepStatus ? object.status : undefined,
    };
    // Most changes of nodes are heartbeats.
    const member = before !== undefined && isDeepStrictEqual(before, now) ? before : now;
    this.#members.set(name, member);
    this.#listing?.set(name, member);
    if (member !== before) this.#onChange();
  }

  deleted(name: string): void {
    this.#members.delete(name);
    this.#onChange();
  }
}

function keptOf({ name, namespace, uid, generation, creationTimestamp, annotations }: ObjectMeta): ObjectMeta {
  const granted = annotations?.[GRANTED];
  return {
    name,
    uid,
    ...(namespace === undefined ? {} : { namespace }),
    ...(generation === undefined ? {} : { generation }),
    ...(creationTimestamp === undefined ? {} : { creationTimestamp }),
    ...(granted === undefined ? {} : { annotations: { [GRANTED]: granted } }),
  };
}
