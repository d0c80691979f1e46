import { root } from "../support/dataplane.js";

/** What the set-up built for clusters. */
export const PROGRAMS = `${root}/build/cluster/programs`;
export const IMAGES = `${root}/build/cluster/images`;
export const KUBERNETES = `${PROGRAMS}/kubernetes`;
