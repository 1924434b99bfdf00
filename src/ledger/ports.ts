/**
 * The source of a log's public objects: a server, or an exported folder. `undefined` means that the object
 * does not exist there.
 */
export interface LogReader {
  checkpoint(): Promise<Uint8Array | undefined>;
  /** `width` 256 is a full tile. */
  tile(level: number, index: number, width: number): Promise<Uint8Array | undefined>;
  entries(index: number, width: number): Promise<Uint8Array | undefined>;
  frame(number: number): Promise<Uint8Array | undefined>;
}
