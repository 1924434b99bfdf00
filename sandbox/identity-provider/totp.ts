import { createHmac, timingSafeEqual } from "node:crypto";

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const stepMilliseconds = 30_000;

/** RFC 4648 §6, without padding. */
export function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return (bits.match(/.{1,5}/gu) ?? [])
    .map((five) => alphabet[Number.parseInt(five.padEnd(5, "0"), 2)])
    .join("");
}

function fromBase32(text: string): Buffer {
  const bits = text
    .split("")
    .map((character) => alphabet.indexOf(character).toString(2).padStart(5, "0"))
    .join("");
  return Buffer.from((bits.match(/.{8}/gu) ?? []).map((byte) => Number.parseInt(byte, 2)));
}

/** The one-time code of a moment (RFC 6238 with SHA-1, the hash that every authenticator app supports). */
export function totp(secret: string, atMilliseconds: number, digits = 6): string {
  const counter = Buffer.alloc(8);
  counter.writeBigUInt64BE(BigInt(stepOf(atMilliseconds)));
  const mac = createHmac("sha1", fromBase32(secret)).update(counter).digest();
  const number = mac.readUInt32BE((mac.at(-1) ?? 0) & 0xf) & 0x7fff_ffff; // RFC 4226 §5.3: dynamic truncation
  return String(number % 10 ** digits).padStart(digits, "0");
}

const stepOf = (atMilliseconds: number): number => Math.floor(atMilliseconds / stepMilliseconds);

/** A person's second factor. */
export class TotpCheck {
  readonly #secret: string;
  #lastStep = -1;

  constructor(secret: string) {
    this.#secret = secret;
  }

  /**
   * True if the code is the code of now, of the step before or of the next step, and was not spent before
   * (RFC 6238 §5.2).
   */
  spend(code: string, atMilliseconds: number): boolean {
    const now = stepOf(atMilliseconds);
    const step = [now, now - 1, now + 1].find(
      (each) => each > this.#lastStep && same(totp(this.#secret, each * stepMilliseconds), code),
    );
    if (step === undefined) return false;
    this.#lastStep = step;
    return true;
  }
}

const same = (right: string, given: string): boolean =>
  right.length === given.length &&
  timingSafeEqual(Buffer.from(right), Buffer.from(given.replaceAll(/[^0-9]/gu, "x")));
