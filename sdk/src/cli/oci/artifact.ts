import { createHash } from "node:crypto";
import type { Manifest } from "../../build/manifest.js";

// A module as an OCI image, in the CNCF's layout of Wasm artifacts: one application/wasm layer and a config of its own type.
// https://tag-runtime.cncf.io/wgs/wasm/deliverables/wasm-oci-artifact/

export const MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE = "application/vnd.wasm.config.v0+json";
export const LAYER_TYPE = "application/wasm";

/** Points to a blob or a manifest by its contents. */
export interface Descriptor {
  mediaType: string;
  /** "sha256:" and hex. */
  digest: string;
  /** Bytes. */
  size: number;
  annotations?: Record<string, string>;
}

export interface Artifact {
  manifest: { descriptor: Descriptor; bytes: Uint8Array };
  /** What the manifest points to: its config and its one layer. */
  blobs: { descriptor: Descriptor; bytes: Uint8Array }[];
}

/** The same module with the same annotations gives the same bytes, and so the same digest, at any time. */
export function makeArtifact(wasm: Uint8Array, stage: Manifest, annotations: Record<string, string>): Artifact {
  const layer = describe(LAYER_TYPE, wasm, { "org.opencontainers.image.title": `${stage.name}.wasm` });
  const configBytes = jsonBytes({
    created: "1970-01-01T00:00:00Z",
    architecture: "wasm",
    os: "wasip1", // what the layout says of plain modules, with or without WASI
    layerDigests: [layer.digest],
  });
  const config = describe(CONFIG_TYPE, configBytes);
  const manifestBytes = jsonBytes({
    schemaVersion: 2,
    mediaType: MANIFEST_TYPE,
    config,
    layers: [layer],
    annotations: {
      "org.opencontainers.image.title": stage.name,
      "org.opencontainers.image.version": stage.version,
      ...annotations,
    },
  });
  return {
    manifest: { descriptor: describe(MANIFEST_TYPE, manifestBytes), bytes: manifestBytes },
    blobs: [
      { descriptor: config, bytes: configBytes },
      { descriptor: layer, bytes: wasm },
    ],
  };
}

function describe(mediaType: string, bytes: Uint8Array, annotations?: Record<string, string>): Descriptor {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  return { mediaType, digest, size: bytes.length, ...(annotations ? { annotations } : {}) };
}

const jsonBytes = (value: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
