import { InvalidArgumentError } from "commander";
import { isName } from "../config/values.js";

/** A whole number of at least `min`. */
export function wholeNumber(min: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < min) {
      throw new InvalidArgumentError(`Found "${text}"; allowed: a whole number from ${min}.`);
    }
    return value;
  };
}

/** A whole number, also below zero. */
export function signedNumber(text: string): number {
  if (!/^-?\d{1,9}$/.test(text)) throw new InvalidArgumentError(`Found "${text}"; allowed: a whole number.`);
  return Number(text);
}

const MILLISECONDS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** setTimeout's longest. */
const MAX_MS = 2 ** 31 - 1;

/** "500ms", "10s", "1.5m", "2h", or seconds without a unit. @returns milliseconds */
export function durationMs(text: string): number {
  const { number, unit = "s" } = /^(?<number>\d+(\.\d+)?)(?<unit>ms|s|m|h)?$/.exec(text)?.groups ?? {};
  const value = Math.round(Number(number) * (MILLISECONDS[unit] ?? 0));
  if (!(value >= 1 && value <= MAX_MS)) {
    throw new InvalidArgumentError(`Found "${text}"; allowed: a time such as 500ms, 10s, 2m or 1h, up to 24 days.`);
  }
  return value;
}

const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1024, MiB: 1024 * 1024 };

/** "96", "96B", "64KiB". @returns bytes, from `min` to `max` */
export function sizeBytes(min: number, max: number): (text: string) => number {
  return (text) => {
    const { number, unit = "B" } = /^(?<number>\d{1,9})(?<unit>B|KiB|MiB)?$/.exec(text)?.groups ?? {};
    const value = Number(number) * (BYTES[unit] ?? 0);
    if (!(value >= min && value <= max)) {
      throw new InvalidArgumentError(`Found "${text}"; allowed: ${min} to ${max} bytes, such as 96, 2KiB or 1MiB.`);
    }
    return value;
  };
}

/** "packets=1000,max-differences=0" with the keys of `defaults`, whose values stand where a key is absent. */
export function numbersByKey<Key extends string>(
  defaults: Readonly<Record<Key, number>>,
): (text: string) => Record<Key, number> {
  const keys = Object.keys(defaults);
  return (text) => {
    const values: Record<Key, number> = { ...defaults };
    for (const part of text.split(",")) {
      const [key = "", value = ""] = part.split("=");
      if (!keys.includes(key) || !/^\d+$/.test(value)) {
        throw new InvalidArgumentError(
          `Found "${part}"; allowed: ${keys.map((known) => `${known}=NUMBER`).join(", ")}, with commas between.`,
        );
      }
      values[key as Key] = Number(value);
    }
    return values;
  };
}

export interface Assignment {
  readonly name: string;
  /** Absent where only the name was given. */
  readonly file?: string;
}

/** "name=file", or "name" alone. For arguments that may be repeated: adds to what came before. */
export function assignments(text: string, previous: readonly Assignment[] = []): Assignment[] {
  const { name, file } = /^(?<name>[^=]+)(=(?<file>.+))?$/.exec(text)?.groups ?? {};
  if (name === undefined) throw new InvalidArgumentError(`Found "${text}"; allowed: NAME=FILE or NAME.`);
  return [...previous, file === undefined ? { name } : { name, file }];
}

/** For options that may be repeated or hold several values with commas between. */
export function names(text: string, previous: readonly string[] = []): string[] {
  return [...previous, ...text.split(",").filter((name) => name !== "")];
}

/** As sockets, folders and the desired state carry it. */
export function nodeName(text: string): string {
  if (isName(text)) return text;
  throw new InvalidArgumentError(`Found "${text}"; allowed: a name of up to 63 characters a-z 0-9 . _ -.`);
}
