#!/usr/bin/env node
// npm run image: the set-up with the container image, then where it is.
import { statSync } from "node:fs";
import { root, setup } from "../setup/setup.mjs";
import { SetupError } from "../setup/shell.mjs";
import { IMAGE, imagePaths, imageVersion } from "./commands.mjs";

const USAGE = `usage: npm run image

Builds Sluice's container image, with what is missing or stale of it, and writes it to build/image/sluice.tar, an OCI archive:

  buildah push oci-archive:build/image/sluice.tar docker://registry.example.com/sluice:VERSION   to a registry
  ctr --namespace k8s.io images import build/image/sluice.tar                                    to one node`;

const args = process.argv.slice(2);
if (args.includes("--help")) {
  console.log(USAGE);
} else if (args.length > 0) {
  console.error(`unknown option ${args[0]}\n${USAGE}`);
  process.exitCode = 2;
} else {
  try {
    await setup({ image: true });
    const { archive } = imagePaths(root);
    const megabytes = (statSync(archive).size / 1e6).toFixed(0);
    console.log(`${IMAGE}:${imageVersion(root)}: ${archive} (${megabytes} MB, compressed)`);
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
