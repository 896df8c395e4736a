import { attackHost } from "./host-under-attack.ts";

attackHost("threads");
