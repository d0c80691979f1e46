// Which page of docs/reference/ tells of which exports. One that is not named here comes after those of its file; one of a new
// file is to be given a page.

export interface Topic {
  /** File name without .md. */
  page: string;
  title: string;
  /** What the page's reader needs to know before the symbols. */
  intro: string;
  /** Names, in the page's order. */
  symbols: string[];
}
export interface Module {
  /** What authors import. */
  name: string;
  /** Its source, from the repository's root. */
  source: string;
  topics: Topic[];
}

const library: Topic[] = [
  {
    page: "plugin",
    title: "Decorators and definePlugin",
    intro: `A plugin is a file whose top level declares what it is. The build reads these declarations for the manifest.

| before | | |
| --- | --- | --- |
| \`@hook("forward")\` | \`function name(batch: Batch): void\` | gets each burst at a hook: \`prerouting\`, \`forward\`, \`postrouting\`, \`input\` or \`output\`; one function for each hook |
| \`@config\` | \`class Name { ... }\` | the configuration: the build derives its JSON schema from the fields |
| \`@configure\` | \`function name(config: Name): void\` | builds the tables from the configuration, off the packet path; \`Json\` instead of a class reads it by hand |
| \`@unmanaged @flowState(1)\` | \`class Name { ... }\` | what the stage keeps in each flow, at most 64 bytes; the number is its schema, 1 to 255 |
| \`@migrate(1)\` | \`function name(batch: Batch): void\` | upgrades the flow states of an older schema in place |

Above the fields of a \`@config\` class:

| | on | |
| --- | --- | --- |
| \`@minimum(1)\`, \`@maximum(100)\` | numbers | bounds, included |
| \`@minItems(1)\`, \`@maxItems(64)\` | lists | number of items |
| \`@oneOf("allow", "deny")\` | strings and enums | the values that there are |
| \`@schema({ "type": "object" })\` | \`Json\` | the schema of what the plugin reads itself |

Names and values in declarations are literals: they are read before the program runs.`,
    symbols: ["definePlugin"],
  },
  {
    page: "packets",
    title: "Packets and views",
    intro: `A hook gets a \`Batch\` of \`Packet\`s. Both are views: they allocate nothing, and hold for the call only. Ports, lengths
and IPv4 addresses are numbers in host order. An access outside the packet's part of the window traps; [the stage's failure
strategy](../abi.md#failure-strategies-and-budgets) then decides.`,
    symbols: ["Batch", "Packet", "Payload"],
  },
  {
    page: "headers",
    title: "Headers",
    intro: `Views over header bytes. Their setters store the one field and touch no checksum: they are for headers that a stage
makes itself. To change a packet's own headers use [Packet's calls](packets.md).`,
    symbols: [
      ...["Ethernet", "Vlan", "Arp", "Ipv4", "Ipv6", "Ipv6Address", "Extension", "ExtensionOption", "Fragment"],
      ...[
        "Authentication",
        "Esp",
        "Srh",
        "Tcp",
        "HeaderOption",
        "TcpOption",
        "Udp",
        "Sctp",
        "SctpChunk",
        "Icmp",
        "Icmpv6",
      ],
      ...["Vxlan", "Quoted", "Protocol", "checksum"],
    ],
  },
  {
    page: "answers",
    title: "Packets of the stage's own",
    intro: `A stage sends packets that it builds itself, answers one (\`packet.reply()\`), or has a copy sent out by a port
(\`packet.mirror()\`; both are [Packet's](packets.md)). They leave when the call of the hook returns.`,
    symbols: ["Emit", "emitReset", "emitUnreachable", "Unreachable"],
  },
  {
    page: "flow-state",
    title: "Flow state",
    intro: `A class marked \`@flowState\` is kept in each flow, the same for both directions:
\`packet.flow<State>()\` reads it, \`packet.updateFlow<State>()\` changes it. A swap keeps it where the schema is the same; where it is
another one, \`@migrate\` upgrades it.`,
    symbols: ["renewReply", "isSourceTaken", "CtState", "CtDirection"],
  },
  {
    page: "tables",
    title: "Tables",
    intro: `Tables of the config segment are declared at a file's top level, filled by \`@configure\`, and read-only on the packet
path; all workers share them.`,
    symbols: [
      ...[
        "HashTable",
        "LpmTable",
        "RangeTable",

        "BitmapTable",
        "MaglevTable",
        "maglevChoices",
        "maglevSize",
      ],
      ...["ArrayTable", "Settings"],
    ],
  },
  {
    page: "worker-tables",
    title: "Tables of a worker's own",
    intro: `Bounded tables that the packet path itself changes. Each worker has its own, and a swap or a failed stage's reload
starts with empty ones: what must outlive those belongs in [flow state](flow-state.md).`,
    symbols: [
      ...["LruTable", "TokenBuckets", "workerShare", "CountMinSketch", "Interval", "FlowKey", "readSource"],
      ...["readDestination", "Scratch"],
    ],
  },
  {
    page: "metrics",
    title: "Metrics, trace values and drop reasons",
    intro: "Numbers for the operator. Each worker has its own, and the node adds them up.",
    symbols: ["Counter", "Gauge", "Histogram", "TraceValue", "dropReason", "DropReason"],
  },
  {
    page: "time-and-hashing",
    title: "Time, random numbers and hashing",
    intro: "Times are those of the burst: two readings in one call are the same.",
    symbols: [
      "now",
      "wallTime",
      "random",
      "worker",
      "workers",
      "generation",
      "mix",
      "mixPair",
      "mixSymmetric",
      "reduce",
      "jumpHash",
      "hashText",
    ],
  },
  {
    page: "configuration",
    title: "Configuration",
    intro: `\`@configure\` gets the configuration as \`Json\`. Its readers report a wrong value by its path and yield zero; the
configuration is then refused with the first error.`,
    symbols: ["refuse", "Json", "Ipv4Address", "Prefix", "PortRange", "readPorts"],
  },
  {
    page: "constants",
    title: "Constants of the ABI",
    intro: "[The ABI](../abi.md) says more of each.",
    symbols: ["Hook", "Verdict", "Flag", "NO_PORT"],
  },
];

const testing: Topic[] = [
  {
    page: "testing",
    title: "Test harness: stages",
    intro: `\`loadPlugin\` starts a stage in Node's WebAssembly by the rules of a packet thread. Importing
[@sluice/sdk/testing/matchers](testing-matchers.md) teaches vitest's \`expect\` about it.`,
    symbols: [
      ...["loadPlugin", "PluginSource", "StageOptions", "Stage", "Packet", "SendOptions", "SendResult", "Metrics"],
      ...["HistogramValue", "ConfigureError", "StageAbort", "StageTimeout", "verifyStages"],
    ],
  },
  {
    page: "testing-packets",
    title: "Test harness: packets",
    intro:
      "Packets are built from headers, outermost first, with right lengths and checksums unless a field says otherwise.",
    symbols: [
      ...[
        "packet",
        "packetHex",
        "Part",
        "Layer",
        "ethernet",
        "EthernetFields",
        "vlan",
        "VlanFields",
        "arp",
        "ArpFields",
      ],
      ...["ipv4", "Ipv4Fields", "ipv6", "Ipv6Fields", "tcp", "TcpFields", "TcpOptions", "udp", "UdpFields", "sctp"],
      ...[
        "SctpFields",
        "sctpChunk",
        "PortFields",
        "icmp",
        "icmpv6",
        "IcmpFields",
        "srh",
        "fragment",
        "options",
        "vxlan",
      ],
      ...["ChecksumMode", "dnsQuery", "DnsFields", "hex", "filler", "quoted", "fragmentsOf", "FragmentOptions"],
      ...["addressBytes", "addressText", "macBytes", "checksum", "crc32c", "onesSum", "pseudoHeader"],
      ...["parsePacket", "Parsed", "isMalformed", "Malformed", "describePacket", "describeFrame", "packetDiff"],
      ...["fieldDifferences", "FieldDifference", "hexRegion"],
    ],
  },
  {
    page: "testing-captures",
    title: "Test harness: captures",
    intro: "pcap and pcapng files, read and written packet by packet, and taken through a stage.",
    symbols: [
      ...[
        "runPcap",
        "RunPcapOptions",
        "RunPcapSummary",
        "readPcap",
        "packetsOf",
        "PcapPacket",
        "LinkType",
        "PcapError",
      ],
      ...["writePcap", "WritablePacket", "PcapWriter", "PcapWriterOptions"],
      ...[
        "CaptureInterface",
        "CapturedFrame",
        "sectionBlock",
        "interfaceBlock",
        "packetBlock",
        "LINK_ETHERNET",
        "LINK_RAW",
      ],
    ],
  },
  {
    page: "testing-rows",
    title: "Test harness: rows",
    intro:
      "A row is plain JSON: packets in, and what must come of them. The same rows run in Node and in a packet thread.",
    symbols: [
      ...["runRows", "Row", "PacketRow", "Expectation", "RowReport", "RowResult", "PacketResult", "MirroredPacket"],
      ...[
        "compareRow",
        "StageExecutor",
        "NodeStage",
        "NativeStage",
        "NativeMissingError",
        "stopNative",
        "stageExecutor",
      ],
      ...["executorName", "ExecutorName", "requireAgreement", "DisagreementError", "VerdictName", "CtStateName"],
    ],
  },
];

const matchers: Topic[] = [
  {
    page: "testing-matchers",
    title: "Test harness: matchers",
    intro: "Import it once in a test file, and `expect` knows these.",
    symbols: ["SluiceMatchers"],
  },
];

const build: Topic[] = [
  {
    page: "build",
    title: "Building from a program",
    intro: "What `sluice-plugin build` and `inspect` do, as functions.",
    symbols: [
      ...["buildPlugin", "BuildOptions", "BuildResult", "BuildError", "Diagnostic", "formatDiagnostic"],
      ...["inspectModule", "ModuleInfo", "ModuleError", "ModuleErrorCode", "readManifest", "embedManifest", "Manifest"],
      ...["describeModule", "ModuleDescription", "sourceOf", "SourcePlace", "SourceLocation"],
      ...["HookName", "hookNames", "hookNumber", "FailureStrategy", "failureStrategies", "Json"],
    ],
  },
];

export const modules: Module[] = [
  { name: "@sluice/sdk", source: "sdk/assembly/index.ts", topics: library },
  { name: "@sluice/sdk/testing", source: "sdk/src/testing/index.ts", topics: testing },
  { name: "@sluice/sdk/testing/matchers", source: "sdk/src/testing/matchers.ts", topics: matchers },
  { name: "@sluice/sdk/build", source: "sdk/src/build/index.ts", topics: build },
];
