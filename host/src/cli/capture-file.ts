import { type FileHandle, open } from "node:fs/promises";
import { dropReasonDocs, dropReasonNames } from "@sluice/sdk/abi";
import { interfaceBlock, LINK_ETHERNET, packetBlock, sectionBlock } from "@sluice/sdk/testing";
import type { CapturedPacket } from "../dataplane/protocol.js";
import { messageOf, SluiceError } from "../errors.js";
import { VERSION } from "../version.js";
import type { Io } from "./output.js";

/** Where the bytes of a capture go. */
interface Output {
  write(data: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A pcapng file in the making, complete after each packet: an interface for each point and port. */
export class CaptureFile {
  /** Numbers of the interfaces written so far, by their names. */
  private readonly interfaces = new Map<string, number>();

  private constructor(private readonly output: Output) {}

  /** @param path "-" is stdout. @throws SluiceError "unwritable-file" */
  static async open(path: string, io: Io): Promise<CaptureFile> {
    const output = path === "-" ? stdoutOf(io) : await fileOutput(path);
    await output.write(sectionBlock(`sluice ${VERSION}`));
    return new CaptureFile(output);
  }

  /** @throws SluiceError "unwritable-file", as when the disk is full */
  async write({ seconds, nanoseconds, point, port, length, bytes, reason }: CapturedPacket): Promise<void> {
    const at = BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
    const comment = reason === undefined ? {} : { comment: `dropped: ${reason}${meaningOf(reason)}` };
    const number = await this.interfaceOf(point, port);
    await this.output.write(packetBlock({ interface: number, at, bytes, length, ...comment }));
  }

  /** A file without a packet has an interface all the same: tcpdump refuses one that has none. */
  async close(): Promise<void> {
    if (this.interfaces.size === 0) await this.addInterface("none", "nothing was captured");
    await this.output.close();
  }

  private async interfaceOf(point: string, port: string): Promise<number> {
    const name = `${point} ${port}`.trimEnd();
    const known = this.interfaces.get(name);
    if (known !== undefined) return known;
    return this.addInterface(name, describe(point, port));
  }

  private async addInterface(name: string, description: string): Promise<number> {
    const number = this.interfaces.size;
    this.interfaces.set(name, number);
    await this.output.write(interfaceBlock({ name, description, linkType: LINK_ETHERNET, snapLength: 0 }));
    return number;
  }
}

function describe(point: string, port: string): string {
  if (point === "rx") return `came in by port ${port}`;
  if (point === "tx") return `leaves by port ${port}`;
  const from = port === "" ? "" : `, came in by port ${port}`;
  if (point === "drop") return `dropped${from}`;
  const stage = /^stage:(.*)$/.exec(point)?.[1];
  return stage === undefined ? `at hook ${point}${from}` : `after stage ${stage}${from}`;
}

function meaningOf(reason: string): string {
  const names: readonly string[] = dropReasonNames;
  const doc = dropReasonDocs[names.indexOf(reason)];
  return doc === undefined ? "" : ` (${doc})`;
}

function stdoutOf(io: Io): Output {
  return { write: async (data) => io.bytes(data), close: async () => {} };
}

async function fileOutput(path: string): Promise<Output> {
  const handle = await usable(path, () => open(path, "w"));
  return {
    write: (data) => usable(path, () => writeAll(handle, data)),
    close: () => usable(path, () => handle.close()),
  };
}

async function writeAll(handle: FileHandle, data: Uint8Array): Promise<void> {
  await handle.writeFile(data);
}

async function usable<Value>(path: string, work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw SluiceError.of("unwritable-file", path, messageOf(error), { cause: error });
  }
}
