import { utf8 } from "#kernel/encoded";
import type { OriginUrls } from "#phi/origin-urls";
import { asciiText } from "./ascii-text.ts";
import type { Mentions } from "./mentions.ts";
import { memberFlag } from "./plan.ts";
import { isSame } from "./words.ts";
import { flagRewrite, type ByteScanner } from "./scanner.ts";
import { unusual } from "./unusual.ts";

/** Texts that are remembered within an answer. */
const [unchangedMax, unchangedBytesMax] = [16, 64];
const none: ReadonlySet<string> = new Set();
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The form in which a string leaves, if it needs a closer look: it has an escape, a character outside ASCII or a
 * part of an address, or a reader may follow it.
 */
export class StringMapper {
  /** The JSON text in the place of the last string; `undefined`: it leaves as it is written. */
  mapped: Uint8Array | undefined;
  /** The contained resources that a reference may name, as `#id`. */
  fragments: ReadonlySet<string> = none;
  /** The link in place of the URL of an attachment; undefined: another mapping. */
  sealed: ((url: string) => string | undefined) | undefined;
  /** Answers whether the URL of an attachment does not leave without a link. */
  isStored: ((url: string) => boolean) | undefined;
  /** The references of the resource to contained resources that leave; `#` is the resource itself. */
  readonly refersTo = new Set<string>();
  /** References to contained resources so far, whether they leave or not. */
  fragmentsMet = 0;
  /** Free texts of this answer that needed a closer look and leave as they are, as JSON. */
  #unchanged: Uint8Array[] = [];
  #urls: OriginUrls | undefined;
  readonly #mentions: Mentions;

  constructor(mentions: Mentions) {
    this.#mentions = mentions;
  }

  /** Before the texts of an answer. */
  begin(urls: OriginUrls): void {
    this.#urls = urls;
    this.#unchanged = [];
  }

  /**
   * False: the string does not leave.
   *
   * @param look `ByteScanner.flags` of the string. @param flags `memberFlag` of its member. @param start and
   * `end`: with its quotes.
   */
  map({ bytes }: ByteScanner, look: number, flags: number, start: number, end: number): boolean {
    this.mapped = undefined;
    if ((flags & memberFlag.attachment) !== 0 && (this.sealed ?? this.isStored) !== undefined) {
      const url: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end)));
      if (typeof url !== "string") throw unusual;
      const link = this.sealed?.(url);
      if (link === undefined && this.isStored?.(url) === true) return false;
      if (link !== undefined) {
        this.mapped = utf8(JSON.stringify(link));
        return true;
      }
    }
    if (look === 0) {
      if ((flags & memberFlag.fragment) !== 0 && bytes[start + 1] === 0x23) {
        // plain, but it may have an escaped quote
        for (let each = start; each < end; each += 1) if (bytes[each] === 0x5c) throw unusual;
        if (!this.#mayRefer(asciiText(bytes, start + 1, end - 1))) return false;
      }
      this.#mentions.followPlain(bytes, start + 1, end - 1);
      return true;
    }
    // `%` as a unit stands in each row of a page, and each takes longer than the rest of its row.
    const isRemembered = (flags & (memberFlag.follows | memberFlag.fragment | memberFlag.address)) === 0;
    if (isRemembered) for (const text of this.#unchanged) if (isSame(text, bytes, start, end)) return true;
    const value: unknown = JSON.parse(decoder.decode(bytes.subarray(start, end))); // a string, read strictly
    const urls = this.#urls;
    if (typeof value !== "string" || urls === undefined) throw unusual;
    if ((flags & memberFlag.fragment) !== 0 && value.startsWith("#") && !this.#mayRefer(value)) return false;
    const mapped =
      (flags & memberFlag.address) !== 0
        ? urls.address(value)
        : (flags & memberFlag.name) !== 0
          ? urls.name(value)
          : urls.inText(value);
    if ((flags & memberFlag.follows) !== 0) {
      this.#mentions.follow(value);
      if (mapped !== undefined && mapped !== value) this.#mentions.follow(mapped);
    }
    if (mapped === undefined) return false;
    if (mapped !== value || (look & flagRewrite) !== 0) this.mapped = utf8(JSON.stringify(mapped));
    else if (isRemembered && end - start <= unchangedBytesMax && this.#unchanged.length < unchangedMax)
      this.#unchanged.push(bytes.slice(start, end));
    return true;
  }

  /** @param fragment `#id`, or `#`. */
  #mayRefer(fragment: string): boolean {
    this.fragmentsMet += 1;
    if (fragment !== "#" && !this.fragments.has(fragment)) return false;
    this.refersTo.add(fragment);
    return true;
  }

  /** For a resource. */
  reset(): void {
    this.fragments = none;
    if (this.refersTo.size > 0) this.refersTo.clear();
    this.fragmentsMet = 0;
  }
}
