/** The text of a fragment with its `#`. A fragment that is not percent-encoded UTF-8 stays as it is. */
export function fragmentText(hash: string): string {
  const text = hash.slice(1);
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // a person typed it: `#50%`
  }
}

/**
 * The values of the parameter `name` for a patient's name as a person types it, in the order to try: each word begins a
 * part of the name (`Amara Okafor`, `Okafor, Amara`), or the words are one part of it (`de la Cruz`). A value of R4's
 * `name` begins a single part, and a comma would ask for either side of it.
 */
export function namesToTry(typed: string): readonly (readonly string[])[] {
  const words = typed.split(/[\s,]+/u).filter((word) => word !== "");
  return words.length < 2 ? [words] : [words, [words.join(" ")]];
}

/**
 * True if the text has the words as a whole name: `lab` is not named in `lab-2`, in `north.lab` or in `labs`.
 * Both are in lower case.
 */
export function isNamedIn(text: string, words: string): boolean {
  for (let at = text.indexOf(words); at !== -1; at = text.indexOf(words, at + 1)) {
    const end = at + words.length;
    if (!endsInName.test(text.slice(Math.max(0, at - 2), at)) && !goesOn.test(text.slice(end, end + 2)))
      return true;
  }
  return false;
}

// A full stop, a colon or a hyphen belongs to a name only between two characters of the name.
const endsInName = /[\p{L}\p{N}_][.:-]?$/u;
const goesOn = /^[.:-]?[\p{L}\p{N}_]/u;
