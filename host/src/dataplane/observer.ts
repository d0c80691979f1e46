import { setTimeout as pause } from "node:timers/promises";
import type {
  CaptureOptions,
  Dataplane,
  FlowQuery,
  FlowRecord,
  CapturedPacket as NativePacket,
  ObservePoint,
  ProfileOptions,
  TraceOptions,
  TraceRead,
} from "@sluice/native";
import { dropReasonDocs, dropReasonNames } from "@sluice/sdk/abi";
import { suggestion } from "../config/suggest.js";
import { SluiceError } from "../errors.js";
import { fromNative } from "./native-errors.js";
import type { PluginSources } from "./plugin-sources.js";
import type {
  CapturedPacket,
  CaptureRequest,
  CaptureResponse,
  DropRecord,
  NativeFigures,
  Profile,
} from "./protocol.js";
import type { Sink } from "./server.js";

export interface ObserverOptions {
  readonly native: Dataplane;
  readonly figures: () => NativeFigures;
  readonly sources: PluginSources;
}

/** How often the addon's buffers of traces and captures are emptied. */
const READ_MS = 20;

/** Captured bytes of one message, about. */
const MESSAGE_BYTES = 1024 * 1024;
const MESSAGE_PACKETS = 256;

const HOOK_POINTS = ["prerouting", "forward", "postrouting", "input", "output"] as const;

/** What the addon has for a message. `isNews`: worth sending; `isMore`: read again at once; `isOver`: nothing will come. */
type Reader<Message> = (id: number) => { message: Message; isNews: boolean; isMore: boolean; isOver: boolean };

/** Shows what packets, flows and stages of a running node do. What it starts in the addon ends with the call it was for. */
export class Observer {
  private readonly stopping = new AbortController();
  private readonly inWork = new Set<Promise<void>>();

  constructor(private readonly options: ObserverOptions) {}

  /** Traces and captures in work. */
  get count(): number {
    return this.inWork.size;
  }

  /** @throws SluiceError of a filter that is none, and "stopped" when the dataplane ends before the trace does */
  async trace(request: TraceOptions, sink: Sink<TraceRead>): Promise<void> {
    const { native } = this.options;
    atLeastOne("packets", request.packets);
    let lost = 0;
    await this.observe(
      sink,
      () => native.startTrace(request),
      (id) => {
        const read = native.readTrace(id);
        const isOver = read.left === 0 && read.inWork === 0;
        const isNews = read.packets.length > 0 || read.lost > lost;
        lost = read.lost;
        return { message: read, isNews, isMore: false, isOver };
      },
    );
  }

  /** @throws SluiceError of a filter that is none, and of points and ports that there are not, naming those that there are */
  async capture(request: CaptureRequest, sink: Sink<CaptureResponse>): Promise<void> {
    const { native } = this.options;
    const options = this.checkedCapture(request);
    const max = Math.max(1, Math.min(MESSAGE_PACKETS, Math.floor(MESSAGE_BYTES / options.snapLength)));
    await this.observe(
      sink,
      () => native.startCapture(options),
      (id) => {
        const { packets, lost } = native.readCapture(id, max);
        const message = { packets: packets.map(captured), lost };
        return { message, isNews: packets.length > 0 || lost > 0, isMore: packets.length === max, isOver: false };
      },
    );
  }

  async drops(): Promise<DropRecord[]> {
    const stages = this.options.figures().stages;
    const records = called(() => this.options.native.drops());
    return Promise.all(
      records.map(async (record) => {
        const digest = stages.find(({ name }) => name === record.stage)?.digest;
        return { ...record, meaning: wellKnown(record.reason) ?? (await this.meaning(digest, record.reason)) };
      }),
    );
  }

  flows(query: FlowQuery): FlowRecord[] {
    atLeastOne("max", query.max);
    return called(() => this.options.native.flows(query));
  }

  /** @throws SluiceError "unknown-plugin", naming those that there are */
  async profile(request: ProfileOptions): Promise<Profile> {
    const names = this.options.figures().stages.map(({ name }) => name);
    refuseUnknown("plugin", [request.plugin], names);
    atLeastOne("durationMs", request.durationMs);
    atLeastOne("hertz", request.hertz);
    const profile = await this.options.native.profile(request).catch((error: unknown) => {
      throw fromNative(error);
    });
    return { ...profile, places: await this.options.sources.place(profile.digest, profile.places) };
  }

  /** Ends what is being observed, with an error that says why; resolves when nothing is observed any more. */
  async close(): Promise<void> {
    this.stopping.abort();
    await Promise.allSettled(this.inWork);
  }

  private async observe<Message>(sink: Sink<Message>, start: () => number, read: Reader<Message>): Promise<void> {
    const id = called(start);
    const work = this.handOn(sink, id, read).finally(() => {
      this.options.native.stopObserving(id);
      this.inWork.delete(work);
    });
    this.inWork.add(work);
    return work;
  }

  /** Until nobody wants it or there is no more of it. The first message goes out at once. */
  private async handOn<Message>(sink: Sink<Message>, id: number, read: Reader<Message>): Promise<void> {
    const over = AbortSignal.any([sink.ended, this.stopping.signal]);
    for (let isFirst = true; ; isFirst = false) {
      const { message, isNews, isMore, isOver } = called(() => read(id));
      if (isNews || isFirst) await unlessAborted(over, sink.write(message));
      if (isOver || sink.ended.aborted) return;
      if (!isMore) await unlessAborted(over, pause(READ_MS));
      if (this.stopping.signal.aborted) throw SluiceError.of("stopped", "", "the dataplane is stopping");
    }
  }

  private checkedCapture({ filter, points, ports, snapLength }: CaptureRequest): CaptureOptions {
    const { stages, ports: known } = this.options.figures();
    const isKnown = ["rx", ...HOOK_POINTS, ...stages.map(({ name }) => `stage:${name}`), "tx", "drop"];
    refuseUnknown("point", points, isKnown);
    const portNames = known.map(({ name }) => name);
    refuseUnknown("port", ports, portNames);
    atLeastOne("points", points.length);
    atLeastOne("snapLength", snapLength);
    return { filter, points: points as ObservePoint[], ports, snapLength };
  }

  private async meaning(digest: string | undefined, reason: string): Promise<string> {
    return digest === undefined ? "" : ((await this.options.sources.help(digest))[reason] ?? "");
  }
}

function wellKnown(reason: string): string | undefined {
  const names: readonly string[] = dropReasonNames;
  return dropReasonDocs[names.indexOf(reason)];
}

function refuseUnknown(what: string, names: readonly string[], known: readonly string[]): void {
  const problems = names
    .filter((name) => !known.includes(name))
    .map((name) => {
      const there = known.length === 0 ? "there is none" : `there are: ${known.join(", ")}`;
      return { code: `unknown-${what}`, path: name, message: `no such ${what}${suggestion(name, known)}; ${there}` };
    });
  if (problems.length > 0) throw new SluiceError(problems);
}

function atLeastOne(field: string, value: number): void {
  if (value < 1) throw SluiceError.of("invalid-request", `/${field}`, `found ${value}; allowed: at least 1`);
}

function captured({ at, ...packet }: NativePacket): CapturedPacket {
  const second = 1_000_000_000n;
  return { ...packet, seconds: Number(at / second), nanoseconds: Number(at % second) };
}

function called<Value>(call: () => Value): Value {
  try {
    return call();
  } catch (error) {
    throw fromNative(error);
  }
}

/** Resolves when the work is done, or at once when the signal is aborted. */
async function unlessAborted(signal: AbortSignal, work: Promise<void>): Promise<void> {
  if (signal.aborted) return;
  let wake = () => {};
  const aborted = new Promise<void>((resolve) => {
    wake = resolve;
    signal.addEventListener("abort", wake);
  });
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", wake);
  }
}
