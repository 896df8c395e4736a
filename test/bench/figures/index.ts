/** All figures, in the order in which they are made. */
import type { Figure } from "./figure.ts";
import { overhead } from "./overhead.ts";
import { recovery } from "./recovery.ts";
import { singleop } from "./singleop.ts";
import { storage } from "./storage.ts";
import { switching } from "./switching.ts";

export const figures: readonly Figure[] = [singleop, overhead, storage, switching, recovery];
