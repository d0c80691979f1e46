// A tar archive in POSIX.1-1988's format (ustar): blocks of 512 bytes, a header before each file, two empty ones at the end.

const BLOCK = 512;

export interface TarFile {
  /** Up to 100 bytes, or with a "/" where the first part has up to 155 and the rest up to 100. */
  readonly path: string;
  readonly content: Uint8Array;
  /** Unix time, ms. */
  readonly at: number;
}

export const TAR_END = Buffer.alloc(2 * BLOCK);

/** A file's header and content, filled up to whole blocks. */
export function tarEntry({ path, content, at }: TarFile): Buffer {
  const header = Buffer.alloc(BLOCK);
  const { name, prefix } = split(path);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, "0");
  const put = (offset: number, text: string) => header.write(text, offset, "utf8");
  put(0, name);
  put(100, octal(0o644, 7));
  put(108, octal(0, 7));
  put(116, octal(0, 7));
  put(124, octal(content.length, 11));
  put(136, octal(Math.floor(at / 1000), 11));
  put(148, " ".repeat(8)); // the checksum counts itself as spaces
  put(156, "0");
  put(257, "ustar\0" + "00");
  put(345, prefix);
  put(
    148,
    `${octal(
      header.reduce((sum, byte) => sum + byte, 0),
      6,
    )}\0 `,
  );
  return Buffer.concat([header, content, Buffer.alloc((BLOCK - (content.length % BLOCK)) % BLOCK)]);
}

function split(path: string): { name: string; prefix: string } {
  if (Buffer.byteLength(path) <= 100) return { name: path, prefix: "" };
  for (let at = path.indexOf("/"); at > 0; at = path.indexOf("/", at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(name) <= 100 && Buffer.byteLength(prefix) <= 155) return { name, prefix };
  }
  throw new RangeError(`the path is too long for a tar archive: ${path}`);
}
