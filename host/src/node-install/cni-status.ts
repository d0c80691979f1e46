import { execFile } from "node:child_process";
import { messageOf, SluiceError } from "../errors.js";

const TIMEOUT_MS = 10_000;

/** Asks the installed CNI program, as the container runtime does, whether pods can be added. @returns why not; undefined: they can */
export async function cniStatus(program: string, conflist: string): Promise<string | undefined> {
  const configuration = statusConfiguration(conflist);
  return new Promise((resolve) => {
    const child = execFile(
      program,
      { env: { CNI_COMMAND: "STATUS" }, timeout: TIMEOUT_MS, killSignal: "SIGKILL" },
      (error, stdout) => resolve(error === null ? undefined : (messageIn(stdout) ?? messageOf(error))),
    );
    child.stdin?.on("error", () => undefined); // it need not read all
    child.stdin?.end(configuration);
  });
}

/** That of the first plugin of a checked list, as libcni makes it: the list's name and version, the plugin's own fields. */
export function statusConfiguration(conflist: string): string {
  const { name, cniVersion, cniVersions, plugins } = JSON.parse(conflist) as Conflist;
  const [{ capabilities: _, ...plugin }] = plugins;
  // STATUS is of 1.1.0; a list that names several versions is for a runtime to choose from.
  const version = cniVersions?.includes("1.1.0") ? "1.1.0" : cniVersion;
  return JSON.stringify({ ...plugin, name, cniVersion: version });
}

interface Conflist {
  readonly name: string;
  readonly cniVersion: string;
  readonly cniVersions?: readonly string[];
  readonly plugins: readonly [{ readonly type: string; readonly capabilities?: object }];
}

/** @throws SluiceError "conflist" when the text, of `file`, is no configuration list */
export function checkConflist(text: string, file: string): void {
  const refuse = (message: string) => SluiceError.of("conflist", file, message);
  try {
    const list = JSON.parse(text) as Partial<Conflist>;
    if (typeof list.name === "string" && typeof list.plugins?.[0]?.type === "string") return;
  } catch (error) {
    throw refuse(`it is no JSON: ${messageOf(error)}`);
  }
  throw refuse('expected a CNI configuration list: "name", and "plugins" with a "type"');
}

/** Of the error that a CNI program prints. */
function messageIn(stdout: string): string | undefined {
  try {
    const { msg, details } = JSON.parse(stdout) as { msg?: string; details?: string };
    return details === undefined || details === "" ? msg : `${msg}: ${details}`;
  } catch {
    return undefined; // it printed something else, or nothing: its end tells enough
  }
}
