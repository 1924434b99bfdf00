import { scheduler } from "node:timers/promises";

/** workerd's global of this name. Node has the same object in a module. */
Object.defineProperty(globalThis, "scheduler", { configurable: true, value: scheduler });
