import { FIRST_BYTE, makeTable, tableAddress } from "./segment";

/** u32 address of an object for each entry of a segment's directory, by the entry's offset; 0: none. */
const defaults = memory.data(FIRST_BYTE, 8);

/** The generated entry calls it at module start. */
export function setDefaults<T>(entry: usize, value: T): void { store<u32>(defaults + entry, <u32>changetype<usize>(value)); }

/**
 * One record in the config segment, for single values that workers read: `const limits = new Settings<Limits>()` at a file's
 * top level. `Limits` is a class marked @config whose fields are numbers, bool, enums or IPv4 addresses, or an unmanaged
 * class. When it is the configuration itself, it is filled in before the function marked @configure runs, which then may be
 * left out.
 */
@unmanaged
export class Settings<T> {
  constructor(name: string = "") { unreachable(); }

  /** A view of the record; before the first configuration of a @config class's defaults, of other classes all zero. */
  // @ts-ignore: decorator
  @inline get value(): T {
    const entry = changetype<usize>(this);
    const record = tableAddress(entry);
    return changetype<T>(record != 0 ? record : <usize>load<u32>(defaults + entry));
  }
  /** False before the first configuration. */
  // @ts-ignore: decorator
  @inline get isSet(): bool { return tableAddress(changetype<usize>(this)) != 0; }
  /** Configure only: copies the object's fields. False when the segment is too small; configure then ends with TOO_LARGE. */
  set(value: T): bool {
    const record = this.make();
    if (record == null) return false;
    memory.copy(changetype<usize>(record), changetype<usize>(value), offsetof<T>());
    return true;
  }
  /** Configure only: the record itself, zeroed at first; null when the segment is too small. */
  make(): T | null { return changetype<T | null>(makeTable(changetype<usize>(this), <u32>offsetof<T>())); }
}
