import type { Address } from "./address.ts";
import type { LogExtent } from "./flush.ts";
import { fullTiles, partialWidth, TILE_WIDTH } from "#ledger/tlog/tile";

/**
 * True when an object is part of a complete copy of a log of this extent. No further objects and no other
 * widths are part of it.
 */
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
    case "frames":
    case "copies":
      return false; // a further form of objects that the copy has
  }
}

function isTileAt(size: number, level: number, index: number, width: number): boolean {
  const full = fullTiles(level, size);
  return width === TILE_WIDTH ? index < full : index === full && width === partialWidth(level, size);
}
