import type { SluiceError } from "../errors.js";
import type { KubeObject, ObjectMeta } from "../kube/api.js";

/** An object of which the reflector itself makes use. */
export interface Member<T> {
  readonly metadata: ObjectMeta;
  /** The last one that could be used, of this generation or an earlier one. */
  readonly record: T | undefined;
  /** Why the object as it is now can't be used. */
  readonly error: SluiceError | undefined;
  /** As the API has it. */
  readonly status: unknown;
}

/** All objects of a kind, by name, kept by a mirror. Of cluster-wide kinds with few objects. */
export class Roster<T> {
  #members = new Map<string, Member<T>>();
  #listing: Map<string, Member<T>> | undefined;
  #complete = false;
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
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
    const member: Member<T> = {
      metadata: object.metadata,
      record: "record" in made ? made.record : this.#members.get(name)?.record,
      error: "error" in made ? made.error : undefined,
      status: object.status,
    };
    this.#members.set(name, member);
    this.#listing?.set(name, member);
    this.#onChange();
  }

  deleted(name: string): void {
    this.#members.delete(name);
    this.#onChange();
  }
}
