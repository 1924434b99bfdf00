let hasSentChange = false;

/** Notes that a request goes out that changes something at a server: its outcome is unknown without an answer. */
export function noteSentChange(): void {
  hasSentChange = true;
}

/** What an interrupted command says. */
export const interruption = (): string =>
  hasSentChange
    ? "interrupted: a change that was sent may be in force; look before you repeat it"
    : "interrupted";
