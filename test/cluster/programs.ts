import { root } from "../support/dataplane.js";

/** What the set-up built for clusters. */
export const PROGRAMS = `${root}/build/cluster/programs`;
export const IMAGES = `${root}/build/cluster/images`;
export const KUBERNETES = `${PROGRAMS}/kubernetes`;
export const HELM = `${root}/build/cluster/helm`;
/** Sluice itself, as it is deployed. */
export const SLUICE_IMAGE = `${root}/build/image/sluice.tar`;
