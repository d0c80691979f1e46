import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readPcap } from "@sluice/sdk/testing";
import { afterAll, describe, expect, test } from "vitest";
import { CaptureFile } from "../src/cli/capture-file.js";
import type { Io } from "../src/cli/output.js";
import type { CapturedPacket } from "../src/dataplane/protocol.js";

const folder = mkdtempSync(join(tmpdir(), "capture-file-test-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const bytes = Buffer.alloc(60, 7);
const packet = (point: string, port: string, more: Partial<CapturedPacket> = {}): CapturedPacket => ({
  ...{ seconds: 1_700_000_000, nanoseconds: 5, point, port, length: 1500, bytes },
  ...more,
});

const io = (bytes: Io["bytes"] = () => {}): Io => ({
  ...{ out: () => {}, err: () => {}, bytes },
  closed: new AbortController().signal,
});

/** Bytes that `-w -` writes to stdout. */
async function toStdout(packets: readonly CapturedPacket[]): Promise<Buffer> {
  const written: Uint8Array[] = [];
  const file = await CaptureFile.open(
    "-",
    io((data) => void written.push(data)),
  );
  for (const each of packets) await file.write(each);
  await file.close();
  return Buffer.concat(written);
}

async function toFile(packets: readonly CapturedPacket[]): Promise<string> {
  const path = join(folder, "file.pcapng");
  const file = await CaptureFile.open(path, io());
  for (const each of packets) await file.write(each);
  await file.close();
  return path;
}

describe("a capture's file", () => {
  const packets = [packet("rx", "pod-1"), packet("tx", "pod-2", { nanoseconds: 999_999_999 }), packet("rx", "pod-1")];

  test("has an interface for each point and port, times in nanoseconds and whole lengths", async () => {
    const found = readPcap(await toFile(packets));
    expect(found.map((each) => [each.interface, each.at, each.length, each.bytes.length])).toEqual([
      ["rx pod-1", 1_700_000_000_000_000_005n, 1500, 60],
      ["tx pod-2", 1_700_000_000_999_999_999n, 1500, 60],
      ["rx pod-1", 1_700_000_000_000_000_005n, 1500, 60],
    ]);
  });

  test("has an interface without a packet too: readers refuse a file that has none", async () => {
    const path = await toFile([]);
    expect(readPcap(path)).toEqual([]);
    const { status, stderr } = spawnSync("tcpdump", ["-r", path], { encoding: "utf8" });
    expect({ status, stderr }).toMatchObject({ status: 0 });
  });

  test("is the same on stdout", async () => {
    expect(await toStdout(packets)).toEqual(readFileSync(await toFile(packets)));
  });

  /** Point, what the interface says of itself. */
  test.each([
    ["rx", "came in by port pod-1"],
    ["tx", "leaves by port pod-1"],
    ["drop", "dropped, came in by port pod-1"],
    ["forward", "at hook forward, came in by port pod-1"],
    ["stage:nat", "after stage nat, came in by port pod-1"],
  ])("says what is captured at %s", async (point, description) => {
    expect((await toStdout([packet(point, "pod-1")])).toString("latin1")).toContain(description);
  });

  test.each([
    ["no-route", "dropped: no-route (No route to the destination)"],
    ["of-its-own", "dropped: of-its-own"],
  ])("has why a packet was dropped as its comment: %s", async (reason, comment) => {
    expect((await toStdout([packet("drop", "pod-1", { reason })])).toString("latin1")).toContain(comment);
  });

  test.each([
    ["/nowhere/x.pcapng", /^unwritable-file \/nowhere\/x.pcapng: no such file or directory$/],
    [folder, /^unwritable-file .*: illegal operation on a directory$/],
  ])("that can't be written is one clear error: %s", async (path, message) => {
    await expect(CaptureFile.open(path, io())).rejects.toThrow(message);
  });

  test("on a full disk is one clear error", async () => {
    await expect(CaptureFile.open("/dev/full", io())).rejects.toThrow(
      /^unwritable-file \/dev\/full: no space left on device$/,
    );
  });
});
