/**
 * The bytes are unusual or malformed: the plain engine reads them and decides. It is the only thing that the
 * byte engine throws, and says nothing about the bytes.
 */
export const unusual: Error = new Error("left to the plain engine");
