import { concat } from "#ledger/bytes/bytes";
import { type CompactRange, HASH_BYTES, type HashAt, nodeHash } from "./merkle.ts";

/** C2SP tlog-tiles: a full tile is 256 hashes, a full bundle 256 entries. */
export const TILE_WIDTH = 256;

/** A full tile: `hashes` is 8,192 bytes, `root` its hash in the level above. */
export interface Tile {
  readonly level: number;
  readonly index: number;
  readonly hashes: Uint8Array;
  readonly root: Uint8Array;
}

/** The hashes of the unfinished tile of each level, level 0 first: everything right of the last full tile. */
export type Edge = readonly (readonly Uint8Array[])[];

/** The right side of a tree, from which it grows: its compact range and its unfinished tiles. */
export interface TreeEdge {
  readonly range: CompactRange;
  readonly edge: Edge;
}

const LEVELS_A_TILE = 8; // 2^8 hashes

/**
 * Adds leaf hashes at the right of a tree of `size` leaves. Returns the new edge, and the tiles that became
 * full, lower levels first. Each node is hashed once: the node over a full tile is its root.
 */
export function growTree(
  tree: TreeEdge,
  size: number,
  leaves: readonly Uint8Array[],
): TreeEdge & { readonly full: readonly Tile[] } {
  const nodes = [...tree.range];
  const levels = tree.edge.map((hashes) => [...hashes]);
  const full: Tile[] = [];
  leaves.forEach((leaf, i) => {
    (levels[0] ??= []).push(leaf);
    let node = leaf;
    let height = 0;
    // Sizes go up to 2^53; JavaScript's bit operators end at 32 bits.
    for (let rest = size + i; rest % 2 === 1; rest = Math.floor(rest / 2)) {
      node = nodeHash(nodes.pop() ?? missing(), node);
      height++;
      if (height % LEVELS_A_TILE !== 0) continue;
      const level = height / LEVELS_A_TILE - 1;
      const hashes = concat(levels[level] ?? missing());
      full.push({ level, index: Math.floor((rest - 1) / 2), hashes, root: node });
      levels[level] = [];
      (levels[level + 1] ??= []).push(node);
    }
    nodes.push(node);
  });
  return { range: nodes, edge: levels, full };
}

function missing(): never {
  throw new Error("the edge of a tree does not fit its size");
}

/**
 * tlog-tiles "Partial Tiles": how many hashes the rightmost tile of a level has in a tree of this size; 0
 * when there is none.
 */
export const partialWidth = (level: number, size: number): number =>
  Math.floor(size / TILE_WIDTH ** level) % TILE_WIDTH;

/** How many full tiles a level has in a tree of this size. */
export const fullTiles = (level: number, size: number): number =>
  Math.floor(size / TILE_WIDTH ** (level + 1));

/** A tile of a tree of some size: 256 hashes, or fewer at the right edge. */
export interface TilePlace {
  readonly level: number;
  readonly index: number;
  readonly width: number;
}

/** The full tiles that proofs need which begin at these leaves or end at these sizes. */
export function fullTilesAbout(size: number, places: readonly number[]): TilePlace[] {
  const tiles = new Map<string, TilePlace>();
  for (let level = 0; fullTiles(level, size) > 0; level++) {
    for (const place of places) {
      const index = Math.floor(place / TILE_WIDTH ** (level + 1));
      if (index < fullTiles(level, size)) tiles.set(`${level}/${index}`, { level, index, width: TILE_WIDTH });
    }
  }
  return [...tiles.values()];
}

/** The partial tiles at the right edge of a tree of this size. */
export function edgeTiles(size: number): TilePlace[] {
  const tiles: TilePlace[] = [];
  for (let level = 0; size >= TILE_WIDTH ** level; level++) {
    const width = partialWidth(level, size);
    if (width > 0) tiles.push({ level, index: fullTiles(level, size), width });
  }
  return tiles;
}

/** The hashes of a tile or of its beginning. */
export const splitHashes = (bytes: Uint8Array): Uint8Array[] =>
  Array.from({ length: bytes.length / HASH_BYTES }, (_, i) =>
    bytes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES),
  );

/** The hash of any perfect subtree, computed from tiles. `tile` gives the present hashes of a tile. */
export function hashAtTiles(tile: (level: number, index: number) => readonly Uint8Array[]): HashAt {
  return (level, index) => {
    const inTile = level % 8;
    const position = index * 2 ** inTile;
    const hashes = tile((level - inTile) / 8, Math.floor(position / TILE_WIDTH));
    const from = position % TILE_WIDTH;
    let nodes = hashes.slice(from, from + 2 ** inTile);
    if (nodes.length < 2 ** inTile) throw new Error("a subtree outside the tree was asked for");
    while (nodes.length > 1) nodes = pairs(nodes);
    return nodes[0] ?? new Uint8Array();
  };
}

function pairs(nodes: readonly Uint8Array[]): Uint8Array[] {
  const parents: Uint8Array[] = [];
  let left: Uint8Array | undefined;
  for (const node of nodes) {
    if (left === undefined) left = node;
    else {
      parents.push(nodeHash(left, node));
      left = undefined;
    }
  }
  return parents;
}

/** tlog-tiles: `x001/x234/067`, with `.p/<W>` for a width under 256. */
export function tilePath(index: number, width: number): string {
  const digits = String(index);
  const groups = digits.padStart(Math.ceil(digits.length / 3) * 3, "0").match(/\d{3}/g) ?? [];
  const path = groups.map((group, i) => (i < groups.length - 1 ? `x${group}` : group)).join("/");
  return width === TILE_WIDTH ? path : `${path}.p/${width}`;
}

/**
 * The index and width in a path below `tile/<L>/`, or undefined. Only the canonical spelling is accepted.
 */
export function parseTilePath(path: string): { readonly index: number; readonly width: number } | undefined {
  const match = /^((?:x\d{3}\/)*\d{3})(?:\.p\/([1-9]\d{0,2}))?$/.exec(path);
  if (match === null) return undefined;
  const index = Number(match[1]?.replace(/[x/]/g, ""));
  const width = match[2] === undefined ? TILE_WIDTH : Number(match[2]);
  return Number.isSafeInteger(index) && tilePath(index, width) === path ? { index, width } : undefined;
}
