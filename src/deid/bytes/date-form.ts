const [dash, colon, point, zulu, clock, plus] = [0x2d, 0x3a, 0x2e, 0x5a, 0x54, 0x2b];
const days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/** The date has a day and no time. */
const dayLength = 10;

/**
 * The year of a usual date or dateTime of R4 in the bytes `[from, to)`; -1 for further texts, of which `primitiveFault`
 * decides: 29 February, a leap second, an escape.
 *
 * @param type `dateTime` or `instant` may have a time; an instant has one.
 */
export function yearIn(bytes: Uint8Array, from: number, to: number, type: string): number {
  const length = to - from;
  const year = 100 * pair(bytes, from) + pair(bytes, from + 2);
  if (!(year > 0) || length < 4) return -1;
  if (length > dayLength)
    return type !== "date" && isTime(bytes, from + dayLength, to) && isDay(bytes, from) ? year : -1;
  if (type === "instant") return -1;
  if (length === 4) return year;
  return (length === 7 && isMonth(bytes, from)) || (length === dayLength && isDay(bytes, from)) ? year : -1;
}

function isMonth(bytes: Uint8Array, from: number): boolean {
  const month = pair(bytes, from + 5);
  return bytes[from + 4] === dash && month >= 1 && month <= 12;
}

function isDay(bytes: Uint8Array, from: number): boolean {
  const day = pair(bytes, from + 8);
  return (
    isMonth(bytes, from) &&
    bytes[from + 7] === dash &&
    day >= 1 &&
    day <= (days[pair(bytes, from + 5) - 1] ?? 0)
  );
}

/** `T10:11:12.345Z`, `T10:11:12-05:00` */
function isTime(bytes: Uint8Array, from: number, to: number): boolean {
  if (bytes[from] !== clock || bytes[from + 3] !== colon || bytes[from + 6] !== colon) return false;
  if (!(pair(bytes, from + 1) < 24 && pair(bytes, from + 4) < 60 && pair(bytes, from + 7) < 60)) return false;
  let at = from + 9;
  if (bytes[at] === point) {
    const first = ++at;
    while (isDigit(bytes[at] ?? 0)) at += 1;
    if (at === first) return false;
  }
  if (bytes[at] === zulu) return at + 1 === to;
  return (
    at + 6 === to &&
    (bytes[at] === plus || bytes[at] === dash) &&
    bytes[at + 3] === colon &&
    pair(bytes, at + 1) < 14 &&
    pair(bytes, at + 4) < 60
  );
}

const isDigit = (sign: number): boolean => sign >= 0x30 && sign <= 0x39;

/** Two digits as a number; NaN for further signs. */
function pair(bytes: Uint8Array, at: number): number {
  const [first, second] = [bytes[at] ?? 0, bytes[at + 1] ?? 0];
  return isDigit(first) && isDigit(second) ? 10 * first + second - 528 : Number.NaN;
}
