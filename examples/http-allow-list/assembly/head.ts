import { names } from "./config";
import { addCharacter, BELOW, EXACT, isLabelCharacter, MAX_LABELS, NAME_SEED } from "./names";

/** Where in a head the next byte stands. */
export enum Place {
  Method,
  TargetStart,
  Target,
  Version,
  /** Behind a line's CR. */
  LineFeed,
  LineStart,
  FieldName,
  FieldValue,
  HostStart,
  Host,
  Port,
  /** Blanks behind the host. */
  HostEnd,
  /** Behind the CR of the empty line. */
  LastLineFeed,
}

/** How far the head of a connection's first request was read: all that is needed to go on at the next segment. */
@unmanaged
export class Head {
  /** Sequence numbers of the connection's first byte and of the next to read. */
  first: u32;
  next: u32;
  place: Place;
  /** Of the word in work: characters that are as expected; OTHER where one was not. */
  matched: u32;
  hasHost: bool;
  /** Of the host's name: labels so far, and characters of the last one. */
  labels: u32;
  labelLength: u32;
  /** Hash of the host's name so far. */
  whole: u64;
  /** Hashes from the start of each of the last 8 labels on; the label's number modulo 8 is the index. */
  private suffix0: u64;
  private suffix1: u64;
  private suffix2: u64;
  private suffix3: u64;
  private suffix4: u64;
  private suffix5: u64;
  private suffix6: u64;
  private suffix7: u64;

  beginName(): void {
    this.labels = 0;
    this.whole = NAME_SEED;
    this.beginLabel();
  }
  addToName(character: u32): void {
    this.whole = addCharacter(this.whole, character);
    for (let i: u32 = 0, n = this.suffixes; i < n; i++) {
      const at = this.suffix(i);
      store<u64>(at, addCharacter(load<u64>(at), character));
    }
    this.labelLength++;
  }
  beginLabel(): void {
    store<u64>(this.suffix(this.labels % MAX_LABELS), NAME_SEED);
    this.labels++;
    this.labelLength = 0;
  }
  /** The name is on the list, or below one that is. */
  get isNameAllowed(): bool {
    if ((names.get(this.whole, 0) & EXACT) != 0) return true;
    for (let i: u32 = 0, n = this.suffixes; i < n; i++) {
      const hash = load<u64>(this.suffix(i));
      // A name is not below itself.
      if (hash != this.whole && (names.get(hash, 0) & BELOW) != 0) return true;
    }
    return false;
  }

  // @ts-ignore: decorator
  @inline private get suffixes(): u32 { return min<u32>(this.labels, MAX_LABELS); }
  // @ts-ignore: decorator
  @inline private suffix(index: u32): usize {
    return changetype<usize>(this) + offsetof<Head>("suffix0") + (<usize>index << 3);
  }
}

/** What a byte makes of a head. */
export enum Reading {
  GoesOn,
  /** The byte was the head's last, and the host is allowed. */
  Allowed,
  Malformed,
  /** The target is no path: absolute form, or that of CONNECT. */
  NoPath,
  HostDenied,
  HostMissing,
  HostRepeated,
}

const OTHER: u32 = 255;
const TAB: u32 = 9;
const LF: u32 = 10;
const CR: u32 = 13;
const SPACE: u32 = 0x20;
const ASTERISK: u32 = 0x2a;
const DOT: u32 = 0x2e;
const SLASH: u32 = 0x2f;
const COLON: u32 = 0x3a;
const DELETE: u32 = 0x7f;

/**
 * Takes in the next byte of a head (RFC 9112). Lines end with CR and LF, names have no blanks behind them, and no line
 * goes on in the next: where servers differ in what they make of a head, it is malformed.
 */
export function readByte(head: Head, byte: u32): Reading {
  switch (head.place) {
    case Place.Method:
    case Place.TargetStart:
    case Place.Target:
    case Place.Version: return readRequestLine(head, byte);
    case Place.LineFeed: return byte == LF ? goTo(head, Place.LineStart) : Reading.Malformed;
    case Place.LineStart: return readLineStart(head, byte);
    case Place.FieldName: return readFieldName(head, byte);
    case Place.FieldValue:
      if (byte == CR) return goTo(head, Place.LineFeed);
      return byte < SPACE && byte != TAB || byte == DELETE ? Reading.Malformed : Reading.GoesOn;
    case Place.LastLineFeed: return byte == LF ? Reading.Allowed : Reading.Malformed;
    default: return readHost(head, byte);
  }
}

function goTo(head: Head, place: Place): Reading {
  head.place = place;
  return Reading.GoesOn;
}

function readRequestLine(head: Head, byte: u32): Reading {
  switch (head.place) {
    case Place.Method:
      if (byte == SPACE && head.matched != 0) return goTo(head, Place.TargetStart);
      head.matched = 1;
      return isToken(byte) ? Reading.GoesOn : Reading.Malformed;
    case Place.TargetStart:
      if (byte == SLASH || byte == ASTERISK) return goTo(head, Place.Target);
      return byte <= SPACE ? Reading.Malformed : Reading.NoPath;
    case Place.Target:
      head.matched = 0;
      if (byte == SPACE) return goTo(head, Place.Version);
      return byte < SPACE || byte == DELETE ? Reading.Malformed : Reading.GoesOn;
    default: return readVersion(head, byte);
  }
}

/** "HTTP/1.0" or "HTTP/1.1", and CR. */
function readVersion(head: Head, byte: u32): Reading {
  const at = head.matched++;
  if (at == 8) return byte == CR ? goTo(head, Place.LineFeed) : Reading.Malformed;
  const isRight = at == 7 ? byte == 0x30 || byte == 0x31 : byte == <u32>"HTTP/1.".charCodeAt(at);
  return isRight ? Reading.GoesOn : Reading.Malformed;
}

function readLineStart(head: Head, byte: u32): Reading {
  if (byte == CR) return head.hasHost ? goTo(head, Place.LastLineFeed) : Reading.HostMissing;
  if (!isToken(byte)) return Reading.Malformed;
  head.matched = 0;
  matchName(head, byte);
  return goTo(head, Place.FieldName);
}

function readFieldName(head: Head, byte: u32): Reading {
  if (byte != COLON) {
    matchName(head, byte);
    return isToken(byte) ? Reading.GoesOn : Reading.Malformed;
  }
  if (head.matched != 4) return goTo(head, Place.FieldValue);
  if (head.hasHost) return Reading.HostRepeated;
  head.hasHost = true;
  head.beginName();
  return goTo(head, Place.HostStart);
}

function matchName(head: Head, byte: u32): void {
  const at = head.matched;
  head.matched = at < 4 && (byte | 0x20) == <u32>"host".charCodeAt(at) ? at + 1 : OTHER;
}

function readHost(head: Head, byte: u32): Reading {
  const isBlank = byte == SPACE || byte == TAB;
  if (head.place == Place.HostStart) {
    if (isBlank) return Reading.GoesOn;
    head.place = Place.Host;
  }
  if (head.place == Place.Host) {
    if (isLabelCharacter(byte)) {
      head.addToName(byte);
      return Reading.GoesOn;
    }
    if (head.labelLength == 0) return Reading.HostDenied;
    if (byte == DOT) {
      head.addToName(byte);
      head.beginLabel();
      return Reading.GoesOn;
    }
    if (!head.isNameAllowed) return Reading.HostDenied;
    if (byte == COLON) return goTo(head, Place.Port);
  } else if (head.place == Place.Port && byte - 0x30 < 10) {
    return Reading.GoesOn;
  }
  if (byte == CR) return goTo(head, Place.LineFeed);
  return isBlank ? goTo(head, Place.HostEnd) : Reading.HostDenied;
}

/** RFC 9110, section 5.6.2: visible characters without the delimiters "(),/:;<=>?@[\]{} and the quotation mark. */
function isToken(byte: u32): bool {
  if (byte <= SPACE || byte >= DELETE) return false;
  switch (byte) {
    case 0x22: case 0x28: case 0x29: case 0x2c: case 0x2f: case 0x3a: case 0x3b: case 0x3c: case 0x3d: case 0x3e:
    case 0x3f: case 0x40: case 0x5b: case 0x5c: case 0x5d: case 0x7b: case 0x7d: return false;
    default: return true;
  }
}
