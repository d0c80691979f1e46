import { isIP } from "node:net";
import type { FlowQuery, FlowRecord } from "@sluice/native";
import { example } from "@sluice/sdk/cli";
import { type Command, InvalidArgumentError } from "commander";
import type { DataplaneClient } from "../../dataplane/client.js";
import { wholeNumber } from "../arguments.js";
import { type ConnectionOptions, connected, withConnection } from "../connection.js";
import type { Io } from "../output.js";
import { flowsText, PROTOCOL_NAMES, protocolNumber, translation } from "../views/flows.js";

interface FlowsOptions extends ConnectionOptions {
  address?: string;
  port?: number;
  protocol?: number;
  limit: number;
  verbose?: boolean;
}

/** Flows asked for at once. */
const PAGE = 1000;
const DEFAULT_LIMIT = 100;

export function addFlows(program: Command, io: Io): void {
  const command = program
    .command("flows")
    .summary("show the connections that the node tracks")
    .description(
      "Show the flow table: each flow's state, how long it was idle and when it expires, how it came in, and how it leaves where a stage translates it.",
    )
    .option("--address <ip>", "only flows with this address on either side", address)
    .option("--port <n>", "only flows with this port on either side", portNumber)
    .option("--protocol <name>", `only flows of ${PROTOCOL_NAMES.join(", ")}, or an IP protocol's number`, protocol)
    .option("--limit <n>", "show at most this many", wholeNumber(1), DEFAULT_LIMIT)
    .option("-v, --verbose", "with plugins' own state in each flow");
  withConnection(command).action(async (options: FlowsOptions) => {
    const { flows, isAll } = await connected(options, (client) => collect(client, options));
    if (options.output === "json") {
      io.out(JSON.stringify(flows.map((flow) => ({ ...flow, translation: translation(flow) ?? null }))));
    } else {
      io.out(flowsText(flows, options.verbose ?? false));
      if (!isAll) io.err(`only ${flows.length} flows are shown; --limit shows more`);
    }
  });
  example(command, "sluice flows --address 10.96.0.10 --port 80 --protocol tcp", "connections to a service");
}

async function collect(client: DataplaneClient, { limit, timeout, ...options }: FlowsOptions) {
  const only: Omit<FlowQuery, "max"> = {
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.port === undefined ? {} : { port: options.port }),
    ...(options.protocol === undefined ? {} : { protocol: options.protocol }),
  };
  const flows: FlowRecord[] = [];
  // One more than is shown, to know whether there are more.
  while (flows.length <= limit) {
    const max = Math.min(PAGE, limit + 1 - flows.length);
    const last = flows.at(-1);
    const query = { ...only, max, ...(last === undefined ? {} : { after: last.number }) };
    const page = (await client.call("flows", query, timeout)).flows;
    flows.push(...page);
    if (page.length < max) return { flows, isAll: true };
  }
  return { flows: flows.slice(0, limit), isAll: false };
}

function address(text: string): string {
  if (isIP(text) === 0) throw new InvalidArgumentError(`Found "${text}"; allowed: an IPv4 or IPv6 address.`);
  return text;
}

function portNumber(text: string): number {
  const value = wholeNumber(0)(text);
  if (value > 65535) throw new InvalidArgumentError(`Found "${text}"; allowed: a port, 0 to 65535.`);
  return value;
}

function protocol(text: string): number {
  const value = protocolNumber(text);
  if (value === undefined) {
    throw new InvalidArgumentError(`Found "${text}"; allowed: ${PROTOCOL_NAMES.join(", ")}, or 0 to 255.`);
  }
  return value;
}
