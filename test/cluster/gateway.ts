import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Cleanup } from "../support/cleanup.js";
import { freePorts } from "../support/etcd.js";
import type { Namespace } from "../support/namespace.js";
import { Background, eventually, run } from "../support/process.js";
import { API_PORT, CONTROL } from "./address-plan.js";

const LISTENS_MS = 10_000;

const pidFile = (folder: string) => join(folder, "gateway.pid");

/** Makes a port of this machine's loopback one of the API server's, and returns the URL. */
export async function startGateway(cleanup: Cleanup, control: Namespace, folder: string): Promise<string> {
  const [port] = await freePorts(1);
  const inner = control.command(["socat", "STDIO", `TCP:${CONTROL.v4}:${API_PORT}`]).join(" ");
  const listener = new Background(
    ["socat", `TCP-LISTEN:${port},bind=127.0.0.1,reuseaddr,fork`, `EXEC:${inner.replaceAll(":", "\\:")}`],
    { logFile: join(folder, "gateway.log") },
  );
  writeFileSync(pidFile(folder), String(listener.pid));
  cleanup.defer("the way to the API server", () => stopGateway(folder));
  const url = `https://127.0.0.1:${port}`;
  await eventually("the way to the API server", LISTENS_MS, async () =>
    (await run(["curl", "-skf", "--max-time", "2", "-o", "/dev/null", `${url}/livez`])).status === 0 ? true : undefined,
  );
  return url;
}

/** Ends the one whose process id the cluster's folder holds. */
export async function stopGateway(folder: string): Promise<void> {
  if (!existsSync(pidFile(folder))) return;
  const pid = Number(readFileSync(pidFile(folder), "utf8"));
  const commandLine = `/proc/${pid}/cmdline`;
  if (existsSync(commandLine) && readFileSync(commandLine, "utf8").startsWith("socat")) process.kill(pid);
  rmSync(pidFile(folder));
}
