/*
 * The parts of Node's `Buffer` that the ledger's and the audit's code use, in a browser. esbuild puts this class
 * in the place of the global.
 */
type Encoding = "base64" | "base64url" | "hex" | "utf8";

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export class Buffer extends Uint8Array<ArrayBuffer> {
  static override from(
    source: string | ArrayBufferLike | ArrayLike<number> | Iterable<number>,
    encodingOrAt?: unknown,
    length?: unknown,
  ): Buffer {
    if (typeof source === "string") return copied(bytesOf(source, encodingOrAt as Encoding | undefined));
    if (source instanceof ArrayBuffer)
      return copied(
        new Uint8Array(source, Number(encodingOrAt ?? 0), length === undefined ? undefined : Number(length)),
      );
    return copied(Uint8Array.from(source as ArrayLike<number>));
  }

  static byteLength(text: string): number {
    return encoder.encode(text).length;
  }

  static alloc(length: number): Buffer {
    return new Buffer(new ArrayBuffer(length));
  }

  static concat(parts: readonly Uint8Array[]): Buffer {
    const whole = Buffer.alloc(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      whole.set(part, at);
      at += part.length;
    }
    return whole;
  }

  static isBuffer(value: unknown): boolean {
    return value instanceof Buffer;
  }

  /** 0 for equal bytes. The order of different bytes is as Node's. */
  static compare(left: Uint8Array, right: Uint8Array): number {
    const shorter = Math.min(left.length, right.length);
    for (let i = 0; i < shorter; i++) {
      const difference = (left[i] ?? 0) - (right[i] ?? 0);
      if (difference !== 0) return Math.sign(difference);
    }
    return Math.sign(left.length - right.length);
  }

  override toString(encoding: Encoding = "utf8"): string {
    switch (encoding) {
      case "utf8":
        return decoder.decode(this);
      case "hex":
        return Array.from(this, (byte) => byte.toString(16).padStart(2, "0")).join("");
      case "base64":
        return btoa(latin1(this));
      case "base64url":
        return btoa(latin1(this)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
    }
  }
}

function copied(bytes: Uint8Array): Buffer {
  const buffer = Buffer.alloc(bytes.length);
  buffer.set(bytes);
  return buffer;
}

/** As Node: characters outside of the alphabet end or are left out, so callers compare the text again. */
function bytesOf(text: string, encoding: Encoding = "utf8"): Uint8Array {
  switch (encoding) {
    case "utf8":
      return encoder.encode(text);
    case "hex":
      return Uint8Array.from(text.match(/../gu) ?? [], (pair) => Number.parseInt(pair, 16));
    case "base64":
    case "base64url":
      try {
        const binary = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
        return Uint8Array.from(binary, (character) => character.charCodeAt(0));
      } catch {
        return new Uint8Array();
      }
  }
}

function latin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8_192)
    text += String.fromCharCode(...bytes.subarray(at, at + 8_192));
  return text;
}
