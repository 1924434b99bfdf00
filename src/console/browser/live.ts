/** Keeps the parts of a section up to date from its stream, each by its id. The content comes from this console's own server. */
export function followLive(section: PageElement, address: string): void {
  const source = new EventSource(address);
  source.addEventListener("now", (event) => {
    if (document.visibilityState !== "visible") return;
    const parsed = new DOMParser().parseFromString(dataOf(event), "text/html");
    for (const part of Array.from(parsed.body.children)) {
      const shown = section.querySelector(`#${part.id}`);
      if (shown !== null && !isInUse(shown)) shown.replaceChildren(...Array.from(part.children));
    }
  });
}

/** True if a person works in the part with the keyboard, or reads an unfolded table of it. */
const isInUse = (part: PageElement): boolean => part.querySelector(":focus, details[open]") !== null;

// The events of a stream are MessageEvents.
const dataOf = (event: Event): string => String((event as MessageEvent).data);
