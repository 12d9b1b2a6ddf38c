// A page without an API. For tests; on loopback only.
import { createServer } from "node:http";
import { answer } from "./pages.mjs";

createServer(answer).listen(Number(process.env.PORT ?? 4173), "127.0.0.1");
