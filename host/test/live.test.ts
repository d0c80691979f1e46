import { describe, expect, test } from "vitest";
import { showLive } from "../src/cli/live.js";
import { EXIT, main } from "../src/cli/main.js";
import type { Io, Terminal } from "../src/cli/output.js";

/** Collects what is written; `press` is the keyboard. */
function terminal(rows: number, columns: number) {
  const written: string[] = [];
  let listener: ((key: string) => void) | undefined;
  const keys = (next: (key: string) => void) => {
    listener = next;
    return () => {
      listener = undefined;
    };
  };
  const screen: Terminal = { rows, columns, write: (text) => void written.push(text), keys };
  return { screen, written, press: (key: string) => listener?.(key), isHeard: () => listener !== undefined };
}

function io(change: Partial<Io> = {}): { io: Io; lines: string[] } {
  const lines: string[] = [];
  const closed = new AbortController().signal;
  return { io: { out: (text) => lines.push(text), err: () => {}, bytes: () => {}, closed, ...change }, lines };
}

/** Readings 1, 2, 3, ... */
function counting(): () => Promise<number> {
  let reading = 0;
  return async () => ++reading;
}

const frame = (before: number, after: number) => ({ json: { before, after }, text: () => `${before} to ${after}` });
const FAST = { output: "table", interval: 1 } as const;

describe("frames", () => {
  test("come one after the other where there is no terminal", async () => {
    const { io: plain, lines } = io();
    await showLive(plain, { ...FAST, count: 3 }, counting(), frame);
    expect(lines).toEqual(["1 to 2", "\n2 to 3", "\n3 to 4"]);
  });

  test("are a line each as JSON", async () => {
    const { io: plain, lines } = io({ terminal: terminal(24, 80).screen });
    await showLive(plain, { ...FAST, output: "json", count: 2 }, counting(), frame);
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      { before: 1, after: 2 },
      { before: 2, after: 3 },
    ]);
  });

  test("end when nobody reads them any more", async () => {
    const closing = new AbortController();
    const { io: plain, lines } = io({ closed: closing.signal, out: () => closing.abort() });
    await showLive(plain, FAST, counting(), frame);
    expect(lines).toEqual([]);
  });

  test("end with the error of a reading", async () => {
    const read = counting();
    const failing = async () => {
      const reading = await read();
      if (reading > 2) throw new Error("gone");
      return reading;
    };
    const { screen, written, isHeard } = terminal(24, 80);
    await expect(showLive(io({ terminal: screen }).io, FAST, failing, frame)).rejects.toThrow("gone");
    expect(written.at(-1)).toBe("\x1b[?25h\x1b[?1049l");
    expect(isHeard()).toBe(false);
  });
});

describe("in a terminal", () => {
  test.each(["q", "ctrl-c"])("frames take each other's place until %s, and what was there comes back", async (key) => {
    const { screen, written, press, isHeard } = terminal(24, 80);
    const shown = showLive(io({ terminal: screen }).io, FAST, counting(), frame);
    while (written.length < 4) await new Promise((wake) => setTimeout(wake, 1));
    press("x");
    expect(isHeard()).toBe(true);
    press(key);
    await shown;
    expect(written[0]).toBe("\x1b[?1049h\x1b[?25l");
    expect(written.slice(1, 4)).toEqual(
      ["1 to 2", "2 to 3", "3 to 4"].map((text) => `\x1b[H${text}\x1b[K\nq: end\x1b[K\x1b[J`),
    );
    expect(written.at(-1)).toBe("\x1b[?25h\x1b[?1049l");
    expect(isHeard()).toBe(false);
  });

  test("what does not fit is cut, and said so", async () => {
    const { screen, written } = terminal(3, 12);
    const tall = () => ({ json: {}, text: () => "a line that is too long\ntwo\nthree\nfour" });
    await showLive(io({ terminal: screen }).io, { ...FAST, count: 1 }, counting(), tall);
    expect(written[1]).toBe("\x1b[Ha line that…\x1b[K\ntwo\x1b[K\nq: end  (2 …\x1b[K\x1b[J");
  });

  test("no capture file is written", async () => {
    const errors: string[] = [];
    const { io: other } = io({ terminal: terminal(24, 80).screen, err: (text) => errors.push(text) });
    expect(await main(["pcap", "-w", "-"], other)).toBe(EXIT.usage);
    expect(errors).toEqual(["error: -w -: stdout is a terminal; allowed: a pipe or a file"]);
  });
});
