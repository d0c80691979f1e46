import { InvalidArgumentError } from "commander";

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

/** Seconds, with fractions. */
export function seconds(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0)
    throw new InvalidArgumentError(`Found "${text}"; allowed: seconds above 0.`);
  return value;
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
