import { example } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import type { CapturedPacket } from "../../dataplane/protocol.js";
import { durationMs, names, sizeBytes, wholeNumber } from "../arguments.js";
import { CaptureFile } from "../capture-file.js";
import { connected, type NodeOptions, withNode } from "../connection.js";
import { untilInterrupted } from "../interrupt.js";
import type { Io } from "../output.js";
import { capturedJson, capturedText } from "../views/captured.js";

interface PcapOptions extends NodeOptions {
  write?: string;
  at?: string[];
  port?: string[];
  count?: number;
  duration?: number;
  snapLength: number;
}

const DEFAULT_POINTS = ["rx", "tx"];
const MAX_SNAP_LENGTH = 65_535;

export function addPcap(program: Command, io: Io): void {
  const command = program
    .command("pcap")
    .summary("capture packets at any point of the pipeline")
    .description(
      "Capture packets at points of the pipeline until interrupted: to a pcapng file that Wireshark, tshark and tcpdump read, with an interface for each point and port, or as a line a packet. Points: rx, prerouting, forward, postrouting, input, output (where that hook's chain begins), stage:NAME (what left that stage), tx, drop.",
    )
    .argument("[filter...]", "pcap-filter(7), matched at each point; none: every packet")
    .option("-w, --write <file>", "write pcapng to this file; -: to stdout")
    .option("--at <points>", `where; default: ${DEFAULT_POINTS.join(",")}`, names)
    .option("--port <ports>", "only packets that came in, at tx that leave, by these; default: all", names)
    .option("-c, --count <n>", "end after this many packets", wholeNumber(1))
    .option("--duration <time>", "end after this time", durationMs)
    .option(
      "--snap-length <size>",
      "bytes of each packet to keep, link header included",
      sizeBytes(14, MAX_SNAP_LENGTH),
      MAX_SNAP_LENGTH,
    );
  withNode(command).action(async (words: string[], options: PcapOptions) => {
    if (options.write === "-" && options.output === "json")
      throw new InvalidArgumentError("-w - and -o json: allowed: one of them, as both write to stdout");
    if (options.write === "-" && io.terminal !== undefined)
      throw new InvalidArgumentError("-w -: stdout is a terminal; allowed: a pipe or a file");
    await capture(io, words.join(" "), options);
  });
  example(command, "sluice pcap --at drop,stage:nat -w - host 10.1.1.10 | tshark -r -", "watch it in tshark");
}

async function capture(io: Io, filter: string, options: PcapOptions): Promise<void> {
  const { at: points = DEFAULT_POINTS, port: ports = [], count = Number.POSITIVE_INFINITY, snapLength } = options;
  const request = { filter, points, ports, snapLength };
  let packets = 0;
  let lost = 0;
  await connected(options, (client) =>
    untilInterrupted(
      io,
      async (interrupted) => {
        let output: PacketOutput | undefined;
        try {
          for await (const message of client.stream("capture", request, interrupted)) {
            // Only now, so that a refused capture leaves a file of an earlier one alone.
            output ??= await openOutput(io, options, points);
            lost += message.lost;
            for (const packet of message.packets.slice(0, count - packets)) {
              await output.write(packet);
              packets++;
            }
            if (packets >= count) break;
          }
        } finally {
          await output?.close();
          if (output !== undefined) report(io, options, { packets, lost });
        }
      },
      options.duration,
    ),
  );
}

function report(io: Io, { write, output }: PcapOptions, { packets, lost }: { packets: number; lost: number }): void {
  if (write !== undefined && output === "json") io.out(JSON.stringify({ file: write, packets, lost }));
  io.err(`${packets} packets captured${lost === 0 ? "" : `, ${lost} lost: they came faster than they were read`}`);
}

interface PacketOutput {
  write(packet: CapturedPacket): Promise<void>;
  close(): Promise<void>;
}

async function openOutput(io: Io, { write, output }: PcapOptions, points: readonly string[]): Promise<PacketOutput> {
  const file = write === undefined ? undefined : await CaptureFile.open(write, io);
  io.err(`capturing at ${points.join(", ")}${write === undefined || write === "-" ? "" : ` to ${write}`}`);
  return (
    file ?? {
      write: async (packet) => io.out(output === "json" ? JSON.stringify(capturedJson(packet)) : capturedText(packet)),
      close: async () => {},
    }
  );
}
