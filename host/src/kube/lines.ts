const NEWLINE = 0x0a;

/**
 * JSON values of a stream, one a line.
 * @param onData called for each piece that arrives
 */
export async function* jsonLines(stream: ReadableStream<Uint8Array>, onData: () => void): AsyncGenerator<unknown> {
  let rest: Uint8Array[] = [];
  for await (const piece of stream) {
    onData();
    let start = 0;
    for (let end = piece.indexOf(NEWLINE); end !== -1; end = piece.indexOf(NEWLINE, start)) {
      const line = Buffer.concat([...rest, piece.subarray(start, end)]);
      rest = [];
      start = end + 1;
      if (line.length > 0) yield JSON.parse(line.toString());
    }
    if (start < piece.length) rest.push(piece.subarray(start));
  }
}
