import type { PortStatus } from "@sluice/native";
import { pino } from "pino";
import { describe, expect, test } from "vitest";
import { PortKeeper } from "../src/dataplane/lost-ports.js";
import { FULL_STATUS } from "./helpers.js";

const [sample] = FULL_STATUS.ports as [PortStatus];
const GONE = "network namespace /run/netns/pod-1 is gone";

describe("ports that are lost while the node runs", () => {
  let reopened = 0;
  const keeperOf = (lines: string[], reopen: () => Promise<void> = async () => undefined) => {
    reopened = 0;
    const log = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(line) });
    const shell = {
      reopenPorts: async () => {
        reopened++;
        await reopen();
      },
    };
    return new PortKeeper(shell, log);
  };
  const port = (lost: string, canReturn = false): PortStatus => ({ ...sample, up: lost === "", lost, canReturn });
  const told = (lines: string[]) => lines.map((line) => JSON.parse(line) as { msg: string; reason?: string });

  test("are told once, and so is their return", async () => {
    const lines: string[] = [];
    const keeper = keeperOf(lines);
    for (const lost of ["", GONE, GONE, ""]) await keeper.look([port(lost)]);
    expect(told(lines)).toMatchObject([{ msg: "lost a port", reason: GONE }, { msg: "has the port again" }]);
    expect(reopened).toBe(0);
  });

  test("are opened again when they can return, not before", async () => {
    const keeper = keeperOf([]);
    for (const canReturn of [false, true]) await keeper.look([port(GONE, canReturn)]);
    expect(reopened).toBe(1);
  });

  test("that are removed are not said to be back", async () => {
    const lines: string[] = [];
    const keeper = keeperOf(lines);
    await keeper.look([port(GONE)]);
    await keeper.look([]);
    expect(told(lines)).toHaveLength(1);
  });

  test("are opened again one time after the other, and a refusal is told", async () => {
    const lines: string[] = [];
    let refuse: (error: Error) => void = () => undefined;
    const refused = () =>
      new Promise<void>((_, fail) => {
        refuse = fail;
      });
    const keeper = keeperOf(lines, refused);
    const first = keeper.look([port(GONE, true)]);
    await keeper.look([port(GONE, true)]);
    expect(reopened).toBe(1);
    refuse(new Error("no memory"));
    await first;
    expect(told(lines).at(-1)?.msg).toMatch(/could not be opened again/);
    const second = keeper.look([port(GONE, true)]);
    expect(reopened).toBe(2);
    refuse(new Error("no memory"));
    await second;
  });
});
