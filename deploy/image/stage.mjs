// Lays out what the image holds: node deploy/image/stage.mjs FOLDER. Each folder below it is a layer of the image: see the
// Dockerfile. Needs all steps of the set-up done.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { copyWithLibraries, describePackages } from "./debian.mjs";
import { productionPackages } from "./npm.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url)).replace(/\/$/, "");
/** Of the programs in the image; below it the folders are as in this tree. */
const HOME = "usr/lib/sluice";
const LIBRARIES = "/usr/lib/x86_64-linux-gnu";
/** Buses and network devices of every kind, and the buffers' pool: the dataplane loads what is there. */
const DPDK_DRIVER = /^librte_(net_.+|bus_.+|mempool_ring)\.so\.\d+\.\d+$/;
/** Mellanox devices are also the kernel's, and have drivers beside DPDK's. */
const VERBS = { settings: "/etc/libibverbs.d", drivers: `${LIBRARIES}/libibverbs`, kept: /mlx[45]/ };
/** For who writes or reads a program, not for who runs it. */
const UNUSED_FILE = /(\.d\.[cm]?ts|\.map|\.md|\.tsbuildinfo)$/i;
/** Of npm packages also their sources and tests, Binaryen's commands, and what is for another JavaScript runtime. */
const UNUSED_IN_PACKAGES = /\.[cm]?ts$|\/test$|\/binaryen\/bin$|\/bare-\w+\/prebuilds$/;

/** @param path from the tree's root */
function copy(path, layer, unused = UNUSED_FILE) {
  const filter = (source) => !UNUSED_FILE.test(source) && !unused.test(source);
  cpSync(join(root, path), join(layer, HOME, path), { recursive: true, filter });
}

/** Node, the C library, DPDK, and `ip`, by which the agent finds the node's uplink: Debian's. */
function stageBase(layer) {
  for (const folder of ["etc", "tmp", "run", "var/lib", "usr/bin", "usr/lib", "usr/lib64"]) {
    mkdirSync(join(layer, folder), { recursive: true });
  }
  chmodSync(join(layer, "tmp"), 0o1777);
  for (const folder of ["bin", "lib", "lib64"]) symlinkSync(`usr/${folder}`, join(layer, folder));
  // Runtimes name pods' network namespaces /var/run/netns/...
  symlinkSync("../run", join(layer, "var/run"));
  writeFileSync(join(layer, "etc/passwd"), "root:x:0:0:root:/:/sbin/nologin\nsluice:x:65532:65532::/:/sbin/nologin\n");
  writeFileSync(join(layer, "etc/group"), "root:x:0:\nsluice:x:65532:\n");
  writeFileSync(join(layer, "etc/nsswitch.conf"), "hosts: files dns\n");
  const drivers = dpdkDrivers();
  // Of the tree's own the libraries only; its other programs are static.
  const files = copyWithLibraries(layer, {
    files: ["/usr/bin/node", "/usr/bin/ip", ...drivers, ...verbsFiles(), ...xdpPrograms()],
    users: [join(root, "build/native/sluice.node")],
    isOwn: (path) => path.startsWith(root),
  });
  execFileSync("strip", ["--strip-all", join(layer, "usr/bin/node")]);
  describePackages(layer, files);
}

function dpdkDrivers() {
  const folder = join(LIBRARIES, "dpdk");
  const [version] = readdirSync(folder);
  const names = readdirSync(join(folder, version)).filter((name) => DPDK_DRIVER.test(name));
  return names.map((name) => join(folder, version, name));
}

/** What AF_XDP's driver puts on an interface: on kernels before 5.3, on later ones, and where BPF's file system is mounted. */
function xdpPrograms() {
  const names = ["xsk_def_xdp_prog", "xsk_def_xdp_prog_5.3", "xdp-dispatcher"];
  return names.map((name) => join(LIBRARIES, "bpf", `${name}.o`));
}

function verbsFiles() {
  return [VERBS.settings, VERBS.drivers].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => VERBS.kept.test(name))
      .map((name) => join(folder, name)),
  );
}

/** The npm packages that the programs load. */
function stagePackages(layer) {
  for (const path of productionPackages(root, "host")) copy(path, layer, UNUSED_IN_PACKAGES);
  mkdirSync(join(layer, HOME, "node_modules/@sluice"));
  for (const name of ["native", "sdk"]) symlinkSync(`../../${name}`, join(layer, HOME, "node_modules/@sluice", name));
}

/** Stripped, and without this tree's paths. */
function stageNative(layer) {
  const to = join(layer, HOME, "build/native");
  execFileSync("cmake", ["--install", join(root, "build/native"), "--prefix", to, "--strip"]);
  link(layer, "sluice-uplink", "build/native/sluice-uplink");
  const library = "libsluice_wasmtime.so";
  mkdirSync(join(layer, LIBRARIES), { recursive: true });
  execFileSync("strip", [
    "--strip-unneeded",
    "-o",
    join(layer, LIBRARIES, library),
    join(root, "build/wasmtime/lib", library),
  ]);
}

function stageApp(layer) {
  const compiled = readdirSync(join(root, "plugins"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `plugins/${name}/build/${name}.wasm`);
  for (const path of [
    ...["LICENSE", "package.json", "deploy/cni", "native/package.json", "native/index.js"],
    ...["host/package.json", "host/proto", "host/dist", "sdk/package.json", "sdk/assembly", "sdk/abi", "sdk/dist"],
    ...compiled,
  ]) {
    copy(path, layer);
  }
  stageCommand(layer, "host/bin/sluice.js");
}

/** There is no env in the image, which the script begins with. */
function stageCommand(layer, path) {
  const file = join(layer, HOME, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, readFileSync(join(root, path), "utf8").replace(/^#!.*\n/, "#!/usr/bin/node\n"), { mode: 0o755 });
  link(layer, "sluice", path);
}

/** Names a program where commands are looked for. */
function link(layer, name, path) {
  mkdirSync(join(layer, "usr/bin"), { recursive: true });
  symlinkSync(`/${HOME}/${path}`, join(layer, "usr/bin", name));
}

const [output] = process.argv.slice(2);
const layers = { base: stageBase, packages: stagePackages, native: stageNative, app: stageApp };
for (const [name, stage] of Object.entries(layers)) {
  const layer = join(output, name);
  rmSync(layer, { recursive: true, force: true });
  mkdirSync(layer, { recursive: true });
  stage(layer);
}
// Equal content makes equal layers.
execFileSync("find", [output, "-exec", "touch", "--no-dereference", "--date=@0", "{}", "+"]);
