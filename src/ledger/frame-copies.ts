import { concat, utf8 } from "./bytes.ts";
import { Cursor } from "./cursor.ts";

const magic = utf8("PXC1");

/** Frames one after another in one object: "PXC1" | (u32 length, frame)*. Big-endian. */
export const joinFrames = (frames: readonly Uint8Array[]): Uint8Array =>
  concat([magic, ...frames.flatMap((frame) => [u32(frame.length), frame])]);

/** The frames of such an object, or undefined when the bytes are not whole frames of at least one. Views into `bytes`. */
export function splitFrames(bytes: Uint8Array): Uint8Array[] | undefined {
  const cursor = new Cursor(bytes);
  if (!magic.every((byte) => byte === cursor.u8())) return undefined;
  const frames: Uint8Array[] = [];
  while (cursor.remaining > 0 && !cursor.short) frames.push(cursor.bytes(cursor.u32()));
  return cursor.finished && frames.length > 0 ? frames : undefined;
}

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}
