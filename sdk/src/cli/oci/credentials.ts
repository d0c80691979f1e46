import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { CommandError, messageOf, systemCode } from "../errors.js";

export interface Credentials {
  user: string;
  password: string;
  /** An OAuth refresh token, instead of user and password. */
  identityToken?: string;
}

/** Where credentials come from. */
export interface Login {
  /** Undefined: there are none for this registry. Throws CommandError. */
  readonly find: (registry: string) => Promise<Credentials | undefined>;
  /** Their place, in words. */
  readonly place: string;
  /** What a user is to do who is not let in. */
  readonly remedy: (registry: string) => string;
}

/** Of ~/.docker/config.json, as `docker login`, podman and others write it. */
export interface DockerConfig {
  auths?: Record<string, { auth?: string; username?: string; password?: string; identitytoken?: string }>;
  credHelpers?: Record<string, string>;
  credsStore?: string;
}

/** What Docker calls its own registry in there. */
const DOCKER_HUB = "https://index.docker.io/v1/";

const credentialsPath = (): string => join(process.env.DOCKER_CONFIG ?? join(homedir(), ".docker"), "config.json");

/** What `docker login` left for a registry; undefined where it left nothing. Throws CommandError. */
async function findCredentials(registry: string): Promise<Credentials | undefined> {
  const config = await readDockerConfig();
  const keys = keysOf(registry);
  const helper = keys.map((key) => config.credHelpers?.[key]).find((name) => name !== undefined) ?? config.credsStore;
  if (helper !== undefined) {
    const found = await askHelper(helper, keys[0] ?? registry);
    if (found !== undefined) return found;
  }
  return credentialsIn(config, registry);
}

/** Those that the configuration itself holds. */
export function credentialsIn(config: DockerConfig, registry: string): Credentials | undefined {
  const entry = keysOf(registry)
    .map((key) => config.auths?.[key])
    .find((each) => each !== undefined);
  if (entry === undefined) return undefined;
  const [user = "", ...rest] = Buffer.from(entry.auth ?? "", "base64")
    .toString("utf8")
    .split(":");
  const credentials = { user: entry.username ?? user, password: entry.password ?? rest.join(":") };
  if (entry.identitytoken) return { ...credentials, identityToken: entry.identitytoken };
  return credentials.user === "" ? undefined : credentials;
}

const keysOf = (registry: string): string[] =>
  registry === "docker.io" ? [DOCKER_HUB] : [registry, `https://${registry}`, `http://${registry}`];

/** What `docker login` left on this machine. */
export const ownLogin: Login = {
  find: findCredentials,
  get place() {
    return credentialsPath();
  },
  remedy: (registry) => `Log in: docker login ${registry}`,
};

async function readDockerConfig(): Promise<DockerConfig> {
  const path = credentialsPath();
  try {
    return JSON.parse(await readFile(path, "utf8")) as DockerConfig;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return {};
    throw new CommandError("credentials", `cannot be read: ${messageOf(error)}`, "Repair it, or log in again", path, {
      cause: error,
    });
  }
}

/** Programs that keep passwords elsewhere speak this protocol: the registry on standard input, JSON on standard output. */
async function askHelper(name: string, registry: string): Promise<Credentials | undefined> {
  const program = `docker-credential-${name}`;
  const child = spawn(program, ["get"], { stdio: ["pipe", "pipe", "ignore"] });
  let text = "";
  child.stdout.on("data", (data: Buffer) => {
    text += data.toString("utf8");
  });
  child.stdin.on("error", () => undefined); // it ended without reading; its exit code says so
  child.stdin.end(registry);
  try {
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) return undefined; // it has none for this registry
    const { Username, Secret } = JSON.parse(text) as { Username: string; Secret: string };
    return Username === "<token>"
      ? { user: "", password: "", identityToken: Secret }
      : { user: Username, password: Secret };
  } catch (error) {
    const remedy = `Install it, or take it out of ${credentialsPath()}`;
    throw new CommandError("credentials", `${program} gave no password: ${messageOf(error)}`, remedy, "", {
      cause: error,
    });
  }
}
