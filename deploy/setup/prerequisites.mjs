import { accessSync, constants, existsSync, readFileSync, statfsSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { SetupError, tryOutput } from "./shell.mjs";

const NODE_MAJOR = 20;
const RUST_MINOR = 95; // Wasmtime 48's rust-version
const GO_MINOR = 26; // Kubernetes 1.36's go.mod
const FREE_BYTES = 4e9; // Wasmtime's build tree, npm packages, DPDK
const DEBIAN = "12";

function osRelease() {
  if (!existsSync("/etc/os-release")) return {};
  const lines = readFileSync("/etc/os-release", "utf8")
    .split("\n")
    .filter((line) => line.includes("="));
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1).replaceAll('"', "")]),
  );
}

function deviceUsable(path) {
  try {
    accessSync(path, constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** rustup puts cargo where a non-login shell does not look. */
function addCargoToPath() {
  const bin = join(process.env.CARGO_HOME ?? join(homedir(), ".cargo"), "bin");
  if (existsSync(join(bin, "cargo"))) process.env.PATH = `${process.env.PATH}${delimiter}${bin}`;
}

function goMinor() {
  const version = tryOutput("go", ["env", "GOVERSION"])?.match(/go1\.(\d+)/);
  return version ? Number(version[1]) : 0;
}

/** One line for each prerequisite that is missing. */
function missingPrerequisites(root, { cluster }) {
  addCargoToPath();
  const os = osRelease();
  const rust = tryOutput("rustc", ["--version"])?.match(/(\d+)\.(\d+)/);
  const rustOld = rust && (Number(rust[1]) < 1 || (Number(rust[1]) === 1 && Number(rust[2]) < RUST_MINOR));
  const free = statfsSync(root);
  const builtBefore = existsSync(join(root, "build", "wasmtime", "lib"));
  const checks = [
    [
      process.platform === "linux" && process.arch === "x64",
      `Linux on x86_64 is needed; this is ${process.platform} on ${process.arch}`,
    ],
    [process.getuid?.() === 0, "root is needed (network namespaces, TAP devices, apt-get): run it with sudo"],
    [tryOutput("apt-get", ["--version"]) !== undefined, "apt-get is needed: use Debian 12"],
    [os.ID !== "debian" || os.VERSION_ID === DEBIAN, `Debian ${DEBIAN} is needed; this is Debian ${os.VERSION_ID}`],
    [
      Number(process.versions.node.split(".")[0]) >= NODE_MAJOR,
      `Node ${NODE_MAJOR} or newer is needed; this is ${process.version}`,
    ],
    [tryOutput("npm", ["--version"]) !== undefined, "npm is needed: install it with Node"],
    [
      tryOutput("cargo", ["--version"]) !== undefined && rust,
      `Rust is needed (cargo, rustc 1.${RUST_MINOR} or newer): see https://rustup.rs`,
    ],
    [!rustOld, `rustc 1.${RUST_MINOR} or newer is needed; this is ${rust?.[0]}: run rustup update`],
    [
      !cluster || goMinor() >= GO_MINOR,
      `Go 1.${GO_MINOR} or newer is needed, to build Kubernetes for a cluster on this machine: see https://go.dev/dl`,
    ],
    [deviceUsable("/dev/net/tun"), "/dev/net/tun is needed: run modprobe tun; in a container, pass the device in"],
    [
      tryOutput("unshare", ["--net", "true"]) !== undefined,
      "network namespaces are needed: in a container, run it privileged",
    ],
    [
      builtBefore || free.bavail * free.bsize > FREE_BYTES,
      `${FREE_BYTES / 1e9} GB of free disk are needed under ${root}`,
    ],
  ];
  const missing = checks.filter(([present]) => !present).map(([, sentence]) => sentence);
  return { missing, os };
}

/** Throws a SetupError with one line for each missing prerequisite. Returns a remark on an untried system, or undefined. */
export function checkPrerequisites(root, { cluster }) {
  const { missing, os } = missingPrerequisites(root, { cluster });
  if (missing.length > 0) throw new SetupError(missing.map((sentence) => `missing: ${sentence}`).join("\n"));
  return os.ID === "debian"
    ? undefined
    : `This is ${os.PRETTY_NAME ?? "an unknown system"}; Sluice is tried on Debian ${DEBIAN}.`;
}
