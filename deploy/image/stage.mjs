// Lays out what the image holds: node deploy/image/stage.mjs FOLDER. Each folder below it is a layer of the image: see the
// Dockerfile. Needs all steps of the set-up done.
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundle } from "./bundle.mjs";
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
const UNUSED_FILE = /(\.d\.[cm]?ts|\.map|(?<!\/licen[cs]e)\.md|\.tsbuildinfo)$/i;
/** Of npm packages also their sources and tests, Binaryen's commands, and what is for another JavaScript runtime. */
const UNUSED_IN_PACKAGES = /\.[cm]?ts$|\/test$|\/binaryen\/bin$/;
/** Of a package whose program is bundled: its licence, its name for scanners of images, the interfaces that it reads. */
const BESIDE_BUNDLE = /^package\.json$|(^|\/)(licen[cs]e|notice)[^/]*$|\.proto$/i;
/** The command, and what is started as a process of its own. */
const PROGRAMS = ["host/bin/sluice.js", "host/dist/plugins/compile-child.js"];

/** @param path from the tree's root. @param isUsed whether a file, or any in a folder, is */
function copy(path, layer, isUsed = () => true) {
  const filter = (source) => !UNUSED_FILE.test(source) && isUsed(source);
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

/** The npm packages that are loaded as they are, and what else those need that are `bundled`. */
function stagePackages(layer, bundled) {
  const whole = productionPackages(root, "sdk");
  for (const path of whole) copy(path, layer, (source) => !UNUSED_IN_PACKAGES.test(source));
  for (const path of bundled.filter((each) => !whole.includes(each))) stageRest(layer, path);
  mkdirSync(join(layer, HOME, "node_modules/@sluice"));
  for (const name of ["native", "sdk"]) symlinkSync(`../../${name}`, join(layer, HOME, "node_modules/@sluice", name));
}

function stageRest(layer, path) {
  const names = readdirSync(join(root, path), { recursive: true });
  for (const name of names.filter((each) => BESIDE_BUNDLE.test(each) && !each.includes("node_modules/"))) {
    mkdirSync(join(layer, HOME, path, dirname(name)), { recursive: true });
    copyFileSync(join(root, path, name), join(layer, HOME, path, name));
  }
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

/** Returns the npm packages that are in the programs. */
async function stageApp(layer) {
  const compiled = readdirSync(join(root, "plugins"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `plugins/${name}/build/${name}.wasm`);
  for (const path of [
    ...["LICENSE", "package.json", "deploy/cni", "native/package.json", "native/index.js"],
    ...["host/package.json", "host/proto", "sdk/package.json", "sdk/assembly", "sdk/abi", "sdk/dist"],
    ...compiled,
  ]) {
    copy(path, layer);
  }
  const bundled = await bundle({ root, entries: PROGRAMS, output: join(layer, HOME), home: `/${HOME}` });
  makeCommand(layer, PROGRAMS[0]);
  return bundled;
}

/** There is no env in the image, which the script begins with. */
function makeCommand(layer, path) {
  const file = join(layer, HOME, path);
  writeFileSync(file, readFileSync(file, "utf8").replace(/^#!.*\n/, "#!/usr/bin/node\n"));
  chmodSync(file, 0o755);
  link(layer, "sluice", path);
}

/** Names a program where commands are looked for. */
function link(layer, name, path) {
  mkdirSync(join(layer, "usr/bin"), { recursive: true });
  symlinkSync(`/${HOME}/${path}`, join(layer, "usr/bin", name));
}

const [output] = process.argv.slice(2);
const layer = (name) => join(output, name);
rmSync(output, { recursive: true, force: true });
for (const name of ["base", "packages", "native", "app"]) mkdirSync(layer(name), { recursive: true });
stageBase(layer("base"));
stageNative(layer("native"));
stagePackages(layer("packages"), await stageApp(layer("app")));
// Equal content makes equal layers.
execFileSync("find", [output, "-exec", "touch", "--no-dereference", "--date=@0", "{}", "+"]);
