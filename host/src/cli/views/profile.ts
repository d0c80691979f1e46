import type { Profile } from "../../dataplane/protocol.js";
import { NARROW_WIDTH, shorten } from "../output.js";

/** Samples of one function, or of one of its lines. */
export interface HotPlace {
  function: string;
  /** Empty: the module has no source map. */
  file: string;
  /** Of a function the first one sampled; 0 when unknown. */
  line: number;
  samples: number;
  /** Of the plugin's samples, from 0 to 1. */
  share: number;
}

/** The places of a profile put together by function, or by line of the plugin's own, the hottest first. */
export function hotPlaces({ places, inPlugin }: Profile, byLine: boolean): HotPlace[] {
  const found = new Map<string, HotPlace>();
  for (const { function: compiled, source, samples } of places) {
    const name = source?.function ?? compiled;
    const { file, line } = source?.near ?? source ?? { file: "", line: 0 };
    const key = JSON.stringify(byLine ? [name, file, line] : [name, file]);
    const place = found.get(key) ?? { function: name, file, line, samples: 0, share: 0 };
    place.samples += samples;
    place.line = Math.min(place.line, line);
    found.set(key, place);
  }
  const sorted = [...found.values()].sort((a, b) => b.samples - a.samples);
  return sorted.map((place) => ({ ...place, share: inPlugin === 0 ? 0 : place.samples / inPlugin }));
}

const BAR = 16;

export function profileText(plugin: string, profile: Profile, byLine: boolean): string {
  const { samples, inPlugin } = profile;
  const percent = samples === 0 ? "0.0" : ((100 * inPlugin) / samples).toFixed(1);
  const head = `plugin ${plugin}: ${inPlugin} of ${samples} samples of the workers (${percent}%) were in it`;
  if (inPlugin === 0) return `${head}\nit had no packets, or its calls were too short: take a longer --duration`;
  const rows = hotPlaces(profile, byLine).map((place) => placeLine(place));
  return [head, "", `${"SHARE".padStart(6)}  ${" ".repeat(BAR)}  ${byLine ? "LINE" : "FUNCTION"}`, ...rows].join("\n");
}

function placeLine({ function: name, file, line, share }: HotPlace): string {
  const bar = "#".repeat(Math.round(share * BAR)).padEnd(BAR);
  const where = file === "" ? "" : `  ${file}:${line}`;
  const start = `${(100 * share).toFixed(1).padStart(5)}%  ${bar}  `;
  const room = NARROW_WIDTH - start.length - where.length;
  return room >= 12 ? `${start}${shorten(name, room)}${where}` : shorten(`${start}${name}${where}`, NARROW_WIDTH);
}
