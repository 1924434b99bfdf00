/** Keeps a section up to date from its stream. The content comes from this console's own server. */
export function followLive(section: PageElement, address: string): void {
  const source = new EventSource(address);
  source.addEventListener("now", (event) => {
    // Replacing text that a person has selected would lose the selection; the next event comes in two seconds.
    if (document.visibilityState !== "visible") return;
    const parsed = new DOMParser().parseFromString(dataOf(event), "text/html");
    section.replaceChildren(...Array.from(parsed.body.children));
  });
}

// The events of a stream are MessageEvents.
const dataOf = (event: Event): string => String((event as MessageEvent).data);
