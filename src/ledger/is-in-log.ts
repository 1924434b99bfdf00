import type { Address } from "./address.ts";
import type { LogExtent } from "./flush.ts";
import { fullTiles, partialWidth, TILE_WIDTH } from "#ledger/tlog/tile";

/** Whether an object is one of those that a whole copy of a log that reaches this far consists of: no more, and no other widths. */
export function isInLog(address: Address, { size, frames }: LogExtent): boolean {
  switch (address.kind) {
    case "checkpoint":
      return true;
    case "frame":
      return address.number < frames;
    case "entries":
      return isTileAt(size, 0, address.index, address.width);
    case "tile":
      return isTileAt(size, address.level, address.index, address.width);
    case "proof":
      return false; // made on demand
  }
}

function isTileAt(size: number, level: number, index: number, width: number): boolean {
  const full = fullTiles(level, size);
  return width === TILE_WIDTH ? index < full : index === full && width === partialWidth(level, size);
}
