// The addon's face: what native/src/addon/ exports to the TypeScript shell. Packets stay on the other side of it.

/** A refusal or failure of the addon. Every promise below rejects, and every call throws, with one of these only. */
export interface SluiceNativeError extends Error {
  readonly name: "SluiceNativeError";
  /** Stable, kebab-case: "module-wrong-abi", "port-open-failed". */
  readonly code: string;
  /** JSON pointer into the desired state ("/ports/2/mac"), a file, or empty. */
  readonly path: string;
}

export function isSluiceNativeError(value: unknown): value is SluiceNativeError;

export interface StartOptions {
  /** Node name; one dataplane of a name a machine. */
  name: string;
  workers: number;
  /** One CPU a worker; absent: the scheduler chooses. */
  workerCores?: number[];
  /** Memory for buffers and tables, MiB. */
  memoryMb: number;
  hugepages: "auto" | "never" | "require";
  /** Flow records and such live here; made if absent. */
  stateDir: string;
  /** Compiled modules by digest; made if absent. */
  cacheDir: string;
  /** 2 KiB packet buffers. */
  buffers?: number;
  /** 64 KiB buffers of super-frames. */
  jumbos?: number;
  logLevel?: "trace" | "debug" | "info" | "warn" | "error";
  /** Poll without pause, for latency at the price of a core. */
  busyPoll?: boolean;
  /** TAPs in other namespaces stay when it stops, so that the next start finds them with what runs on them. */
  keepTaps?: boolean;
  /** Look for PCI devices, for ports of kind "dpdk" that are physical NICs or virtual functions. */
  pci?: boolean;
}

export interface Started {
  dataplane: Dataplane;
  hugepages: boolean;
  memoryMb: number;
  /** What was chosen and why, in one line for the log ("no hugepages free: using 256 MiB of ordinary memory"). */
  message: string;
}

export type HookName = "prerouting" | "forward" | "postrouting" | "input" | "output";
export type FailureStrategyName = "FailClosed" | "FailOpen" | "Reload";

/** The `sluice.manifest` section of a module, checked. */
export interface Manifest {
  abi: number;
  name: string;
  version: string;
  hooks: HookName[];
  headerBytes: number;
  writes: boolean;
  /** May settle flows. */
  settles?: boolean;
  flowState: { size: number; schema: number } | null;
  migratesFrom: number[];
  counters: string[];
  gauges: string[];
  histograms: { name: string; bounds: number[] }[];
  traceValues: string[];
  dropReasons: string[];
  segmentBytes: number;
  failure: FailureStrategyName;
  /** JSON schema of the configuration. */
  configSchema: unknown;
}

export interface ApplyResult {
  /** Counts successful applies since the start. */
  generation: number;
  plugins: {
    name: string;
    action: "added" | "kept" | "configured" | "swapped";
    /** What became of its flow slots. */
    flowState: "none" | "kept" | "migrated" | "reset";
  }[];
}

export interface ShadowLimits {
  /** Live packets to copy to the candidate. */
  packets: number;
  /** Packets whose verdict or bytes may differ. */
  maxDifferences: number;
  /** Give up waiting for packets after this; what was seen by then is judged. */
  timeoutMs: number;
}

export interface ShadowReport {
  passed: boolean;
  packets: number;
  /** Packets with another verdict or other bytes. */
  differences: number;
  /** Traps and overrun budgets of the candidate; one is enough not to pass. */
  failures: number;
  /** The first difference or failure in words; empty when there was none. */
  first: string;
}

export interface PortStatus {
  name: string;
  id: number;
  kind: string;
  up: boolean;
  /** Why it is down until it is opened anew: its namespace or its interface is gone. Empty: it is not lost. */
  lost: string;
  /** It is lost and may be had again: the next apply opens it. */
  canReturn: boolean;
  mac: string;
  mtu: number;
  rxPackets: number;
  rxBytes: number;
  txPackets: number;
  txBytes: number;
  rxErrors: number;
  txErrors: number;
}

export interface StageStatus {
  name: string;
  version: string;
  digest: string;
  hooks: HookName[];
  /** "failed": fails by its strategy until replaced; "backing-off": a Reload waits to be tried again. */
  state: "active" | "failed" | "backing-off";
  packets: number;
  bursts: number;
  /** Timestamp-counter cycles spent in the stage, its share of window upkeep included. */
  cycles: number;
  /** By reason, well-known and its own; only those that are not zero. */
  drops: Record<string, number>;
  /** The counters it declares, summed over workers. */
  counters: Record<string, number>;
  /** The gauges it declares, summed over workers. */
  gauges: Record<string, number>;
  /** The histograms it declares, summed over workers. `counts` has one more entry than `bounds`: what is above them. */
  histograms: Record<string, { bounds: number[]; counts: number[]; sum: number }>;
  /** Packets that it made by the import emit. */
  emitted: number;
  /** Copies of packets that it sent out by ports. */
  mirrored: number;
  /** Packets that passed without it, as it had settled their flows. */
  settled: number;
  /** By worker, in the order of their ids. */
  workers: { packets: number; bursts: number; cycles: number }[];
  /** Traps and overrun budgets. */
  failures: number;
  /** Packets dropped for what it wrote about them. */
  invalidOutputs: number;
  /** Of the last failure: the reason and the packet in work, in one line; empty when it never failed. */
  lastFailure: string;
  lastTrap: StageTrap | null;
}

/** Why a call into a stage did not return. */
export interface StageTrap {
  /** budget-exceeded, abort, memory-out-of-bounds, unreachable, stack-overflow, ... */
  code: string;
  message: string;
  version: string;
  /** Of the module that trapped; it need not be the one that runs now. */
  digest: string;
  hook: HookName;
  worker: number;
  /** Unix time, ms. */
  at: number;
  /** First 128 bytes from the L3 header. */
  packetHex: string;
  packetSummary: string;
  /** Innermost first. `offset`: of the instruction in the module's file. */
  frames: { function: string; offset: number }[];
}

export interface WorkerStatus {
  id: number;
  /** -1 when not pinned. */
  core: number;
  received: number;
  transmitted: number;
  bursts: number;
  busyCycles: number;
  polls: number;
  sleeps: number;
}

export interface NativeStatus {
  generation: number;
  uptimeMs: number;
  /** Microseconds from the last change's publication until every worker ran with it, and none with what was before. */
  switchUs: number;
  /** Timestamp-counter cycles a second. */
  tscHz: number;
  hugepages: boolean;
  memoryMb: number;
  buffers: { packetsFree: number; packets: number; jumbosFree: number; jumbos: number };
  workers: WorkerStatus[];
  ports: PortStatus[];
  /** In the order of the pipeline. */
  stages: StageStatus[];
  /** Native drops by reason name; only those that are not zero. */
  drops: Record<string, number>;
  flows: FlowStatus;
  /** What happened since the last call, one line each, for the log; a call takes them away. */
  messages: string[];
}

export interface FlowStatus {
  active: number;
  max: number;
  created: number;
  expired: number;
  evicted: number;
  /** Packets dropped because the table was full. */
  refused: number;
  /** Flows that were found in the file at the start. */
  restored: number;
}

/**
 * A place in the pipeline. A hook's name is where its chain begins; "stage:NAME" is what left that stage, at any hook, and
 * was not dropped by it. At "tx" only what the port took is there.
 */
export type ObservePoint = "rx" | HookName | `stage:${string}` | "tx" | "drop";

export interface TraceOptions {
  /**
   * pcap-filter syntax, matched where a packet comes in; empty: every packet. A filter sees a frame's first 2048 bytes.
   * Give addresses, not names: those are looked up, which may take seconds.
   */
  filter: string;
  /** How many packets to follow; 1 to 100,000. */
  packets: number;
}

export interface TraceRead {
  packets: TracedPacket[];
  /** Asked for, and not yet begun. 0 and no packets in work: the trace is done. */
  left: number;
  inWork: number;
  /** Packets or steps that did not fit into the trace buffer, since the trace began. */
  lost: number;
}

/** A packet's way ends when all that it became was sent, dropped or taken in, or when nothing was heard of it for 5 s. */
export interface TracedPacket {
  /** From 1, within the trace. */
  number: number;
  worker: number;
  /** Unix time in ms, with fractions. */
  at: number;
  /** As it came in, first 128 bytes from the L3 header (or the link header when it is no IP packet). */
  packetHex: string;
  length: number;
  summary: string;
  steps: TraceStep[];
}

/** What happened to a packet at one place. */
export interface TraceStep {
  /**
   * rx, parse, reassembly, conntrack, stage, route, neighbour, encap, decap, coalesce, originate, segment, fragment, tx,
   * drop; lost: nothing more was heard of it.
   */
  kind: string;
  /** Nanoseconds since it came in. */
  afterNs: number;
  /** In words: "port pod-a", "established, original, flow 17", "10.0.0.0/24 by port wire next hop 192.0.2.1". */
  detail: string;
  /** Of a stage. */
  stage?: string;
  hook?: HookName;
  /** "pass", "drop", "redirect", "reinput" or "reply". */
  verdict?: string;
  /** Of a drop: the reason's name; `stage` is there when a stage decided so. */
  reason?: string;
  /**
   * Runs of bytes, hex, that changed since the last step that has the packet's bytes, among the first 128. `offset` is
   * from the L3 header as it is now. At offset 0 `before` and `after` may differ in length: headers that were put there
   * or taken off.
   */
  rewrites?: { offset: number; before: string; after: string }[];
  /** What the stage noted. */
  values?: { name: string; value: number }[];
  /** Of a stage: cycles a packet of the call that it was in. */
  cycles?: number;
}

/** At most 4 captures and 4 traces run at once. */
export interface CaptureOptions {
  /** As a trace's, matched at each point. */
  filter: string;
  /** At least one. */
  points: ObservePoint[];
  /** Names; empty: all. Where a packet came in, at "tx" where it leaves. */
  ports: string[];
  /** Bytes of each packet to keep, link header included; 1 to 65,535. */
  snapLength: number;
}

export interface CaptureRead {
  packets: CapturedPacket[];
  /** Did not fit into the buffer since the last call. */
  lost: number;
}

export interface CapturedPacket {
  /** Unix time in nanoseconds, of the burst that it was in. */
  at: bigint;
  point: ObservePoint;
  /** Where it came in, at "tx" where it leaves; empty: a packet of the node's own. */
  port: string;
  /** Of the whole frame. */
  length: number;
  /** An Ethernet frame; where the packet has no link header, one of zeroes and its ethertype. */
  bytes: Uint8Array;
  /** Of a drop; `stage` is there when a stage decided so. */
  reason?: string;
  stage?: string;
}

export interface DropRecord {
  /** The reason's name, a stage's own one too. */
  reason: string;
  /** The stage that decided so, also when it is gone by now; empty: native code. */
  stage: string;
  packets: number;
  /** Of the packets of its burst, the first. Hex and length as in TracedPacket. */
  last: { at: number; worker: number; inPort: string; packetHex: string; length: number; summary: string } | null;
}

export interface FlowQuery {
  /** At most 100,000. */
  max: number;
  after?: number;
  /** Only these; absent: any. Addresses are matched on either side. */
  address?: string;
  port?: number;
  protocol?: number;
}

export interface FlowRecord {
  number: number;
  protocol: number;
  /** As it came in. Of ICMP the source port is the identifier, the destination port the type of the request. */
  original: { source: string; sourcePort: number; destination: string; destinationPort: number };
  /** What its replies look like. */
  reply: { source: string; sourcePort: number; destination: string; destinationPort: number };
  /** "new" or "established" (it saw a reply); of TCP and SCTP the connection's: "syn-sent", "fin-wait", ... */
  state: string;
  /** In whole seconds. */
  idleMs: number;
  expiresInMs: number;
  /** By plugin, hex: its own state in the flow; absent where it wrote none. */
  slots: Record<string, string>;
}

export interface ProfileOptions {
  plugin: string;
  /** 1 to 60,000. */
  durationMs: number;
  /** Samples a second and worker, of wall time; 1 to 5000. */
  hertz: number;
}

export interface Profile {
  /** Taken on the workers' threads, whatever they ran. */
  samples: number;
  /** In code of this plugin. */
  inPlugin: number;
  /** Of the module that ran when the profile began; a version that is swapped in meanwhile is not sampled. */
  digest: string;
  /**
   * The most samples first. `offset`: of the instruction in the module's file; -1: code that the engine put in, such as
   * the check of the time budget. `function` is empty where that is in no function of the module.
   */
  places: { function: string; offset: number; samples: number }[];
}

/** Runs another program in the place of this one, with the same process id. @param environment "NAME=value" each */
export function replaceProcess(file: string, argv: string[], environment: string[]): never;

export class Dataplane {
  private constructor();

  /** Starts EAL, pools and workers. Once a process; rejects when something is missing, with what to do about it. */
  static start(options: StartOptions): Promise<Started>;

  /**
   * Compiles (or takes from the cache) and checks a module, off the packet path. `digest`: its sha-256, hex, checked.
   * A module that the applied state does not use is let go by the next successful apply().
   */
  addModule(digest: string, wasm: Uint8Array): Promise<Manifest>;

  /**
   * Makes the node what the text says, or changes nothing and rejects. `stateJson`: all of a desired state, or what changes in
   * the one in force (host/src/dataplane/state-change.ts). `configs`: plugins' configurations, as the text numbers them.
   */
  apply(stateJson: string, configs: readonly string[]): Promise<ApplyResult>;

  /** Runs `plugin` as in the given state on copies of live bursts beside the active one. Nothing is published. */
  shadow(stateJson: string, configs: readonly string[], plugin: string, limits: ShadowLimits): Promise<ShadowReport>;

  status(): NativeStatus;

  /** Hands frames (with link header) to a port of kind "inject" as if received. Returns how many were taken. */
  inject(port: string, frames: Uint8Array[]): number;

  /** Takes up to `max` frames that left by a port of kind "inject". */
  collect(port: string, max: number): Uint8Array[];

  // The calls below, down to profile(), throw "not-applied" before the first apply(), "no-such-observation" for an id
  // that is none, and "invalid-options" with the option's path.

  /** Starts to follow packets through the pipeline. Refuses a filter that is none with what libpcap says of it. */
  startTrace(options: TraceOptions): number;
  /** The packets whose way has ended since the last call. */
  readTrace(id: number): TraceRead;

  /** Starts to copy packets at points of the pipeline. */
  startCapture(options: CaptureOptions): number;
  readCapture(id: number, max: number): CaptureRead;

  /** Ends a trace or a capture; the packets are on their own again. */
  stopObserving(id: number): void;

  /** Every reason that has dropped a packet since the start, with the last one. */
  drops(): DropRecord[];

  /** Flows, in the order of their records. `after` of the next call is the last one's `number`. */
  flows(options: FlowQuery): FlowRecord[];

  /** Samples where the workers are while they run `plugin`. One at a time: "profile-running" rejects a second one. */
  profile(options: ProfileOptions): Promise<Profile>;

  /** Runs a stage on given packets in a packet thread, without ports: the SDK's data rows. JSON in, JSON out. */
  runStage(requestJson: string): Promise<string>;

  /** Stops workers, closes ports, frees memory. The object is of no use after it. */
  stop(): Promise<void>;
}
