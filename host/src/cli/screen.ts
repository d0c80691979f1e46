import { type Io, shorten } from "./output.js";

const ENTER = "\x1b[?1049h\x1b[?25l";
const LEAVE = "\x1b[?25h\x1b[?1049l";
const HOME = "\x1b[H";
const TO_LINE_END = "\x1b[K";
const TO_SCREEN_END = "\x1b[J";

/**
 * Shows texts that follow each other: in a terminal each in the place of the one before, with q to end; elsewhere one after
 * the other with an empty line between.
 */
export async function withScreen(
  io: Io,
  interrupt: () => void,
  work: (show: (text: string) => void) => Promise<void>,
): Promise<void> {
  const { terminal } = io;
  if (terminal === undefined) {
    let isFirst = true;
    return work((text) => {
      io.out(isFirst ? text : `\n${text}`);
      isFirst = false;
    });
  }
  terminal.write(ENTER);
  const release = terminal.keys((key) => {
    if (key === "q" || key === "ctrl-c") interrupt();
  });
  try {
    await work((text) => terminal.write(HOME + fitted(text, terminal.rows, terminal.columns) + TO_SCREEN_END));
  } finally {
    release();
    terminal.write(LEAVE);
  }
}

/** What fits on the screen, with a last line that says what to press and whether there is more. */
function fitted(text: string, rows: number, columns: number): string {
  const lines = text.split("\n");
  const shown = lines.slice(0, rows - 1);
  const more = lines.length - shown.length;
  const help = more === 0 ? "q: end" : `q: end  (${more} more lines: make the window higher)`;
  return [...shown, help].map((line) => shorten(line, columns) + TO_LINE_END).join("\n");
}
