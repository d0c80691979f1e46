import { emitKeypressEvents } from "node:readline";
import { systemCode } from "../errors.js";
import type { Io, Terminal } from "./output.js";

/** This process's stdout, stderr and keyboard. A closed pipe (sluice status | head) is no error. */
export function processIo(): Io {
  const closed = new AbortController();
  process.stdout.on("error", (error) => {
    if (systemCode(error) !== "EPIPE") throw error;
    closed.abort();
  });
  return {
    out: (text) => void process.stdout.write(`${text}\n`),
    err: (text) => void process.stderr.write(`${text}\n`),
    bytes: (data) => void process.stdout.write(data),
    closed: closed.signal,
    ...(process.stdout.isTTY ? { terminal: processTerminal() } : {}),
  };
}

function processTerminal(): Terminal {
  const { stdin, stdout } = process;
  return {
    get columns() {
      return stdout.columns;
    },
    get rows() {
      return stdout.rows;
    },
    write: (text) => void stdout.write(text),
    keys: (listener) => {
      if (!stdin.isTTY) return () => {};
      const onKey = (_text: string | undefined, key: { name?: string; ctrl: boolean }) =>
        listener(key.ctrl ? `ctrl-${key.name}` : (key.name ?? ""));
      emitKeypressEvents(stdin);
      stdin.setRawMode(true).resume().on("keypress", onKey);
      return () => {
        stdin.off("keypress", onKey).setRawMode(false).pause();
      };
    },
  };
}
