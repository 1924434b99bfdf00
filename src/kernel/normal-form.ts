// All characters that stand in a run of marks: ﾞ and ﾟ become marks in the compatibility forms.
const longRun = /(?<first>[\p{Mark}\uff9e\uff9f]{30})[\p{Mark}\uff9e\uff9f]+/gu;
const marksMax = 30;

/**
 * A normal form of a text to compare, in time that grows with the text's length. The runtime sorts a run of marks by
 * moving each mark past others: 64,000 marks take five seconds, a MiB takes minutes. So the first 30 marks of a run count
 * (UAX #15, Stream-Safe Text Format: no language has more), and the others are left out.
 */
export const normalForm = (text: string, form: "NFKC" | "NFKD"): string =>
  (text.length > marksMax ? text.replaceAll(longRun, "$<first>") : text).normalize(form);
